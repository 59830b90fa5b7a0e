"""Mistral over the wire: its errors, its streams, its embeddings; the official SDK judges the fake."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from making import made
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from mistralai.client.models import SystemMessage, TextChunk, ThinkChunk, UserMessage

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, EmbeddingParameters, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    ProviderError,
    RateLimited,
    RequestRejected,
    StreamBroken,
)
from send2llm.domain.message import EmbeddingPart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.mistral_server import (
    USAGE,
    ErrorReply,
    FakeMistralServer,
    Reply,
    StreamReply,
    chunk,
    completion,
    thinking,
)
from send2llm.testing.openai_server import DONE, event, running, vector_of
from send2llm.testing.provider_server import Reply as PlainReply

KEY = "mistral-key-0123456789"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("fake-model", HI, Parameters(), UUID(int=1))


@pytest.fixture
async def server() -> FakeMistralServer:
    return FakeMistralServer(models=("fake-model", "fake-embed", "fake-ocr"))


@pytest.fixture
async def base_url(server: FakeMistralServer) -> AsyncIterator[str]:
    async with running(server) as url:
        yield url


@pytest.fixture
async def provider(base_url: str) -> AsyncIterator[HttpProvider]:
    provider = made("mistral", "mist", base_url, api_key=KEY)
    yield provider
    await provider.aclose()


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> Completion:
    builder = CompletionBuilder()
    async for batch in provider.stream(call):
        for delta in batch:
            builder.add(delta)
    return builder.completion()


async def test_a_conversation_of_another_provider_goes_on_here(
    server: FakeMistralServer, provider: HttpProvider
) -> None:
    history = [
        Message("user", (TextPart("What is it?"),)),
        Message("assistant", (ReasoningPart("hm", "sig"), ToolCallPart("toolu_01ABC", "f", "{}")), format="anthropic"),
        Message("tool", (ToolResultPart("toolu_01ABC", "42"),)),
    ]

    answer = await provider.complete(ProviderCall("fake-model", history, Parameters(seed=1), UUID(int=1)))

    assert answer.answers[0].message.text == "Hello!"  # the fake refuses what Mistral refuses
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json["messages"][1]["tool_calls"][0]["id"] == request.json["messages"][2]["tool_call_id"]


async def test_thoughts_are_parts_whole_and_streamed(server: FakeMistralServer, provider: HttpProvider) -> None:
    content = [thinking("Let me see."), {"type": "text", "text": "Yes"}]
    chunks = [chunk(role="assistant", content=""), *(chunk(content=[one]) for one in content)]
    server.script(
        Reply.of(content),
        StreamReply([event(one) for one in [*chunks, chunk("stop", content="", usage=USAGE)]] + [DONE]),
    )

    whole, in_pieces = await provider.complete(CALL), await streamed(provider)

    expected = (ReasoningPart("Let me see."), TextPart("Yes"))
    assert whole.answers[0].message.parts == in_pieces.answers[0].message.parts == expected
    assert whole.usage == in_pieces.usage == Usage(9, 4)


async def test_texts_become_vectors(provider: HttpProvider) -> None:
    call = ProviderCall("fake-embed", HI, Parameters(embedding=EmbeddingParameters(4)), UUID(int=1))

    found = await provider.embed(call)

    (part,) = found.answers[0].message.parts
    assert isinstance(part, EmbeddingPart)
    assert list(struct.unpack("<4f", base64.b64decode(part.vector))) == vector_of("Hi", 4)
    assert (found.usage, found.format, found.body) == (Usage(1), "mistral", b"")


async def test_models_that_talk_or_embed_are_listed(provider: HttpProvider) -> None:
    assert await provider.models() == ["fake-model", "fake-embed"]


# Errors


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (ErrorReply(400, message="Invalid model: x", type="invalid_model", code="1500"), ModelNotAvailable, "model"),
        (
            ErrorReply(422, message={"detail": [{"loc": ["body", "x"], "msg": "Extra inputs"}]}),
            RequestRejected,
            "Extra inputs",
        ),
        (PlainReply.json({"detail": [{"loc": ["body", "n"], "msg": "too big"}]}, 422), RequestRejected, "too big"),
        (PlainReply.json({"detail": "Unauthorized"}, 401), AuthenticationFailed, "Unauthorized"),
        (PlainReply.json({"message": "No API key", "request_id": "1"}, 401), AuthenticationFailed, "No API key"),
        (
            ErrorReply(
                400, message="Prompt contains 40000 tokens, too large for model with 32768 maximum context length"
            ),
            ContextLengthExceeded,
            "too large",
        ),
        (
            ErrorReply(429, {"retry-after": "7"}, message="Service tier capacity exceeded", code="3505"),
            RateLimited,
            "capacity",
        ),
        (PlainReply(b"upstream connect error", 503), Overloaded, "upstream"),
    ],
)
async def test_errors_are_of_the_right_kind(
    server: FakeMistralServer,
    provider: HttpProvider,
    stream: bool,
    reply: PlainReply,
    kind: type[ProviderError],
    said: str,
) -> None:
    server.script(reply)

    with pytest.raises(kind, match=said) as caught:
        await (streamed(provider) if stream else provider.complete(CALL))

    assert (caught.value.provider, caught.value.status) == ("mist", reply.status)
    assert caught.value.retry_after == (7 if kind is RateLimited else None)


ERROR = {"object": "error", "message": "busy", "type": "internal_server_error", "code": "3000"}


async def test_an_error_inside_a_good_reply(server: FakeMistralServer, provider: HttpProvider) -> None:
    server.script(PlainReply.json(ERROR), Reply.of("I th", finish_reason="error"))

    with pytest.raises(Overloaded, match="busy"):
        await provider.complete(CALL)
    with pytest.raises(Overloaded, match="in the midst") as caught:
        await provider.complete(CALL)

    assert caught.value.may_be_charged


BEGUN = [event(chunk(role="assistant", content="")), event(chunk(content="Hel"))]


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (StreamReply([*BEGUN, event(ERROR)]), Overloaded),
        (StreamReply([*BEGUN, event(chunk("error", content=""))]), Overloaded),
        (StreamReply([*BEGUN, b"data: {\n\n"]), MalformedReply),
        (StreamReply([*BEGUN, event({"choices": [{"delta": {"content": 7}}]})]), MalformedReply),
        (StreamReply(BEGUN), StreamBroken),
        (StreamReply(BEGUN, cut=True), StreamBroken),
    ],
)
async def test_a_stream_that_goes_wrong_gives_what_came_before(
    server: FakeMistralServer, provider: HttpProvider, stream: StreamReply, kind: type[ProviderError]
) -> None:
    server.script(stream)
    builder = CompletionBuilder()

    async def listen() -> None:
        async for batch in provider.stream(CALL):
            for delta in batch:
                builder.add(delta)

    with pytest.raises(kind) as caught:
        await listen()

    assert caught.value.provider == "mist"
    partial = builder.partial()
    assert partial is not None
    assert partial.answers[0].message.text == "Hel"


async def test_comments_and_a_missing_end_mark_do_no_harm(server: FakeMistralServer, provider: HttpProvider) -> None:
    server.script(StreamReply([b": ping\n\n", *BEGUN, b": ping\n\n", event(chunk("stop", content="lo", usage=None))]))

    answer = await streamed(provider)

    assert (answer.answers[0].message.text, answer.usage) == ("Hello", None)


PIECES = [*BEGUN, event(chunk(content="lö ✓")), event(chunk("stop", content="", usage=USAGE)), DONE]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
async def test_a_stream_is_the_same_wherever_the_network_cuts_it(
    server: FakeMistralServer, provider: HttpProvider, size: int
) -> None:
    whole = b"".join(PIECES)
    server.script(StreamReply([whole[start : start + size] for start in range(0, len(whole), size)]))

    answer = await streamed(provider)

    assert (answer.answers[0].message.text, answer.usage) == ("Hellö ✓", Usage(9, 4))


fields = st.sampled_from(
    ["choices", "delta", "message", "content", "index", "usage", "object", "error", "finish_reason"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
    max_leaves=10,
)
bodies = st.one_of(
    st.binary(max_size=30),
    anything.map(lambda body: json.dumps(body).encode()),
    st.dictionaries(fields, anything).map(lambda more: json.dumps({**completion("x"), **more}).encode()),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(bodies, st.lists(bodies, max_size=3))
def test_whatever_comes_is_an_answer_or_a_clear_error(body: bytes, events: Sequence[bytes]) -> None:
    async def ask() -> None:
        server = FakeMistralServer()
        async with running(server) as url:
            provider = made("mistral", "mist", url)
            server.script(
                PlainReply(body),
                StreamReply([b"data: " + one.replace(b"\n", b"").replace(b"\r", b"") + b"\n\n" for one in events]),
            )
            for asking in (provider.complete(CALL), streamed(provider)):
                try:
                    answer: Any = await asking
                    assert answer.answers
                except ProviderError as error:
                    assert error.provider == "mist" or "without any answer" in str(error)  # noqa: PT017
            await provider.aclose()

    asyncio.run(ask())


# The official SDK judges the fake


async def test_the_official_sdk_understands_the_fake(server: FakeMistralServer, base_url: str) -> None:
    call = {"id": "D681PevKs", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    async with Mistral(api_key=KEY, server_url=base_url.removesuffix("/v1")) as client:
        messages = [SystemMessage(content="Be kind."), UserMessage(content="Hi")]
        whole = await client.chat.complete_async(model="fake-model", messages=messages, safe_prompt=True)
        server.script(
            Reply.of([thinking("hm"), {"type": "text", "text": "Yes"}], tool_calls=[call], finish_reason="tool_calls")
        )
        thought = await client.chat.complete_async(model="fake-model", messages=messages)
        stream = await client.chat.stream_async(model="fake-model", messages=messages)
        chunks = [each.data async for each in stream]
        vectors = await client.embeddings.create_async(model="fake-embed", inputs=["one", "two"], output_dimension=4)
        models = await client.models.list_async()
        server.script(ErrorReply(400, message="Invalid model: x", type="invalid_model", code="1500"))
        with pytest.raises(SDKError) as refused:
            await client.chat.complete_async(model="x", messages=messages)

    assert whole.choices[0].message is not None
    assert whole.choices[0].message.content == "Hello!"
    assert thought.choices[0].message is not None
    assert thought.choices[0].message.content == [ThinkChunk(thinking=[TextChunk(text="hm")]), TextChunk(text="Yes")]
    assert thought.choices[0].message.tool_calls
    assert "".join(str(each.choices[0].delta.content or "") for each in chunks) == "Hello!"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 13
    assert [entry.embedding for entry in vectors.data] == [vector_of("one", 4), vector_of("two", 4)]
    assert [model.id for model in models.data or []] == ["fake-model", "fake-embed", "fake-ocr"]
    assert (refused.value.status_code, "Invalid model" in str(refused.value)) == (400, True)
