"""Cohere on the wire: what is sent, and what is made of all that may come back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Delta, EmbeddingParameters, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    StreamBroken,
)
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.cohere_server import (
    ErrorReply,
    FakeCohereServer,
    Reply,
    StreamReply,
    answer,
    answer_events,
    event,
    running,
)

KEY = "cohere-key-0123456789"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("command-a", HI, Parameters(), UUID(int=1))
TEXT = {"content": [{"type": "text", "text": "one two"}]}
EVENTS = answer_events(TEXT)


def made(base_url: str) -> HttpProvider:
    provider = make_provider("cohere", ProviderConfig("acme", base_url, api_key=KEY))
    assert isinstance(provider, HttpProvider)
    return provider


@pytest.fixture
async def server() -> FakeCohereServer:
    return FakeCohereServer()


@pytest.fixture
async def provider(server: FakeCohereServer) -> AsyncIterator[HttpProvider]:
    async with running(server, "") as base_url:
        provider = made(base_url)
        yield provider
        await provider.aclose()


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> list[Sequence[Delta]]:
    return [batch async for batch in provider.stream(call)]


def folded(batches: Sequence[Sequence[Delta]]) -> Completion:
    builder = CompletionBuilder()
    for batch in batches:
        for delta in batch:
            builder.add(delta)
    return builder.completion()


async def test_a_call_is_sent_as_the_sdk_would(server: FakeCohereServer, provider: HttpProvider) -> None:
    await provider.complete(CALL)
    await streamed(provider)

    whole, stream = server.requests
    assert (whole.method, whole.path) == ("POST", "/v2/chat")
    assert whole.headers["authorization"] == f"Bearer {KEY}"
    assert (whole.json["stream"], stream.json["stream"]) == (False, True)


async def test_embeddings(server: FakeCohereServer, provider: HttpProvider) -> None:
    texts = [Message("user", (TextPart("a" * (n + 1)),)) for n in range(100)]
    parameters = Parameters(embedding=EmbeddingParameters())

    completion = await provider.embed(ProviderCall("embed-v4.0", texts, parameters, UUID(int=1)))

    assert len(completion.answers[0].message.parts) == 100
    assert completion.usage == Usage(100)
    assert [len(request.json["texts"]) for request in server.requests] == [96, 4]


def test_it_has_no_options_and_needs_its_address() -> None:
    with pytest.raises(ConfigurationError, match=r"options\.region"):
        make_provider("cohere", ProviderConfig("acme", "https://api.cohere.com", options={"region": "x"}))
    with pytest.raises(ConfigurationError, match="base_url"):
        make_provider("cohere", ProviderConfig("acme"))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (ErrorReply(401, "invalid api token"), AuthenticationFailed),
        (ErrorReply(402, "Please add or update your payment method"), QuotaExhausted),
        (ErrorReply(404, "model 'x' not found, make sure the correct model ID was used"), ModelNotAvailable),
        (ErrorReply(400, "too many tokens: size limit exceeded by 11326 tokens."), ContextLengthExceeded),
        (ErrorReply(400, "invalid request: message must be at least 1 token long"), RequestRejected),
        (ErrorReply(422, "unprocessable"), RequestRejected),
        (ErrorReply(429, "trial token rate limit exceeded, limit is 100000 tokens per minute"), RateLimited),
        (ErrorReply(500, "internal server error"), Overloaded),
        (ErrorReply(503, "unavailable"), Overloaded),
        (Reply.json(answer({}, reason="ERROR")), Overloaded),
        (Reply.json(answer({}, reason="TIMEOUT")), Overloaded),
        (Reply(b""), MalformedReply),
        (Reply(b'{"message": {}}'), MalformedReply),
        (Reply(b'{"message'), MalformedReply),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_answer_is_an_error(
    server: FakeCohereServer, provider: HttpProvider, reply: Reply, kind: type[ProviderError], stream: bool
) -> None:
    server.script(reply)

    with pytest.raises(ProviderError) as caught:
        await (streamed(provider) if stream else provider.complete(CALL))

    assert type(caught.value) is kind
    assert caught.value.provider == "acme"


@pytest.mark.parametrize(
    ("piece", "kind", "words"),
    [
        (event("message-end", delta={"finish_reason": "ERROR", "error": "boom"}), Overloaded, "boom"),
        (event("message-end", delta={"finish_reason": "ERROR"}), Overloaded, "generation failed"),
        (event("message-end", delta={"finish_reason": "TIMEOUT"}), Overloaded, "too long"),
        (b'data: {"message": "too many tokens"}\n\n', ContextLengthExceeded, "too many tokens"),
        (event("content-delta", delta={"message": {"content": 4}}), MalformedReply, "content"),
        (b"data: {nonsense}\n\n", MalformedReply, "not JSON"),
        (b"data: [1]\n\n", MalformedReply, "not an object"),
    ],
)
async def test_an_error_in_mid_stream_comes_after_what_was_said_before(
    server: FakeCohereServer, provider: HttpProvider, piece: bytes, kind: type[ProviderError], words: str
) -> None:
    server.script(StreamReply([b"".join(EVENTS[:3]) + piece]))
    stream = aiter(provider.stream(CALL))

    assert folded([await anext(stream)]).answers[0].message.text == "one"
    with pytest.raises(kind, match=words) as caught:
        await anext(stream)

    assert caught.value.provider == "acme"


@pytest.mark.parametrize(
    "reply",
    [
        StreamReply(EVENTS[:4]),
        StreamReply(EVENTS[:4], cut=True),
        StreamReply([*EVENTS[:3], b"data: [DONE]\n\n"]),
        StreamReply([*EVENTS[:3], b": ping\n\n"]),
        StreamReply([]),
    ],
)
async def test_a_stream_that_ends_in_the_middle_is_broken(
    server: FakeCohereServer, provider: HttpProvider, reply: StreamReply
) -> None:
    server.script(reply)

    with pytest.raises(StreamBroken):
        await streamed(provider)


async def test_events_keep_their_bytes_and_those_to_come_are_passed_over(
    server: FakeCohereServer, provider: HttpProvider
) -> None:
    events = [EVENTS[0], event("debug", prompt="x"), *EVENTS[1:]]
    server.script(StreamReply([b": ping\n\n", *events[:2], b":\n\n", *events[2:], b"data: [DONE]\n\n"]))

    batches = await streamed(provider)

    assert b"".join(delta.raw or b"" for batch in batches for delta in batch) == b"".join(events)
    assert folded(batches).answers[0].message.text == "one two"


async def test_a_stream_without_usage(server: FakeCohereServer, provider: HttpProvider) -> None:
    server.script(StreamReply.of("fine", usage=None))

    assert folded(await streamed(provider)).usage is None


async def test_an_enormous_piece(server: FakeCohereServer, provider: HttpProvider) -> None:
    text = "ü" * 3_000_000
    server.script(StreamReply.of(text))

    assert folded(await streamed(provider)).answers[0].message.text == text


async def test_keys_are_in_no_error(server: FakeCohereServer, provider: HttpProvider) -> None:
    server.script(ErrorReply(401, f"invalid api token {KEY}"))

    with pytest.raises(AuthenticationFailed) as caught:
        await provider.complete(CALL)

    assert KEY not in repr(caught.value)


NAMES = [
    *("index", "delta", "message", "content", "text", "thinking", "type", "tool_calls", "function", "arguments"),
    *("name", "id", "tool_plan", "citations", "finish_reason", "usage", "billed_units", "input_tokens", "error"),
]
KINDS = [
    *("message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start"),
    *("tool-call-delta", "citation-start", "message-end", "x"),
]
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.sampled_from(KINDS), junk, junk), max_size=6), junk)
@settings(max_examples=60)
async def test_whatever_comes_is_an_answer_or_a_clear_error(events: list[tuple[str, Any, Any]], whole: Any) -> None:
    server = FakeCohereServer()
    async with running(server, "") as base_url:
        provider = made(base_url)
        server.script(
            StreamReply([event(kind, index=index, delta=delta) for kind, index, delta in events]), Reply.json(whole)
        )
        for ask in (streamed(provider), provider.complete(CALL)):
            with suppress(ProviderError):
                answered = await ask
                usage = answered.usage if isinstance(answered, Completion) else folded(answered).usage
                assert usage is None or usage.input_tokens >= 0
        await provider.aclose()
