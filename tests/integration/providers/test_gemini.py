"""The Gemini API on the wire: what is sent, and what becomes of everything that may come back."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx2
import pytest
from hypothesis import given, strategies as st

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Delta, EmbeddingParameters, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ContentFiltered,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    StreamBroken,
)
from send2llm.domain.message import EmbeddingPart, ImagePart, Message, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing import gemini_server, provider_server
from send2llm.testing.gemini_server import (
    USAGE,
    ErrorReply,
    FakeGeminiServer,
    Reply,
    StreamReply,
    candidate,
    event,
    response,
    running,
)

KEY = "AIza-test-0123456789"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("gemini-3-pro", HI, Parameters(), UUID(int=1))


def gemini(base_url: str, transport: httpx2.AsyncBaseTransport | None = None, **config: Any) -> HttpProvider:
    made = make_provider(
        "gemini", ProviderConfig("google", base_url, **{"api_key": KEY, **config}, transport=transport)
    )
    assert isinstance(made, HttpProvider)
    return made


def call(*messages: Message, model: str = "gemini-3-pro", **parameters: Any) -> ProviderCall:
    return ProviderCall(model, messages or HI, Parameters(**parameters), UUID(int=1))


@pytest.fixture
async def server() -> FakeGeminiServer:
    return FakeGeminiServer()


@pytest.fixture
async def provider(server: FakeGeminiServer) -> AsyncIterator[HttpProvider]:
    async with running(server, "/v1beta") as base_url:
        provider = gemini(base_url)
        yield provider
        await provider.aclose()


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> list[Sequence[Delta]]:
    return [batch async for batch in provider.stream(call)]


def text_of(batches: list[Sequence[Delta]]) -> str:
    return "".join(delta.text for batch in batches for delta in batch)


# What is sent


async def test_a_call_is_sent_as_the_sdk_would(server: FakeGeminiServer, provider: HttpProvider) -> None:
    completion = await provider.complete(call(temperature=0.5, max_output_tokens=9))

    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1beta/models/gemini-3-pro:generateContent", "")
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9},
    }
    assert completion.answers[0].message.text == "Hello!"
    assert (completion.usage, completion.format) == (Usage(9, 4), "gemini")
    assert json.loads(completion.body)["responseId"] == completion.response_id == "fake-response"


async def test_a_stream_is_asked_for_as_server_sent_events(server: FakeGeminiServer, provider: HttpProvider) -> None:
    assert text_of(await streamed(provider)) == "Hello!"

    (request,) = server.requests
    assert (request.path, request.query) == ("/v1beta/models/gemini-3-pro:streamGenerateContent", "alt=sse")


@pytest.mark.parametrize("version", ["/v1beta", "/v1", ""])
async def test_both_versions_of_the_api_may_be_named(server: FakeGeminiServer, version: str) -> None:
    async with running(server, version) as base_url:
        provider = gemini(base_url)
        await provider.complete(CALL)
        assert list(await provider.models()) == ["gemini-fake-1"]
        await provider.aclose()

    assert server.requests[0].path == f"{version or '/v1beta'}/models/gemini-3-pro:generateContent"
    assert (server.requests[1].path, server.requests[1].query) == (f"{version or '/v1beta'}/models", "pageSize=1000")


async def test_events_keep_their_bytes(server: FakeGeminiServer, provider: HttpProvider) -> None:
    reply = StreamReply.of("Grüße an alle")
    server.script(StreamReply([b": hold on\r\n\r\n", *reply.pieces]))

    batches = await streamed(provider)

    assert b"".join(delta.raw or b"" for batch in batches for delta in batch) == b"".join(reply.pieces)  # type: ignore[arg-type]
    assert text_of(batches) == "Grüße an alle"


async def test_a_loop_with_tools_gives_gemini_its_signatures_back(
    server: FakeGeminiServer, provider: HttpProvider
) -> None:
    part = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "U2ln"}
    server.script(Reply.of("", part))
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

    answer = (await provider.complete(call(tools=(tool,)))).answers[0]
    (tool_call,) = answer.message.tool_calls
    result = Message("tool", (ToolResultPart(tool_call.id, "2"),))
    await provider.complete(call(*HI, answer.message, result, tools=(tool,)))

    assert answer.finish_reason == "tool_calls"
    assert server.requests[1].json["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": tool_call.id, "name": "f", "args": {"x": 1}},
                    "thoughtSignature": "U2ln",
                }
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": tool_call.id, "name": "f", "response": {"output": "2"}}}],
        },
    ]


async def test_cached_and_thought_tokens_are_counted(server: FakeGeminiServer, provider: HttpProvider) -> None:
    usage = {
        "promptTokenCount": 50,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 20,
        "totalTokenCount": 75,
    }
    server.script(Reply.of(usage=usage), StreamReply.of("a b c", usage=usage), Reply.of(usage=None))

    expected = Usage(50, 25, cache_read_input_tokens=40, reasoning_output_tokens=20)
    assert (await provider.complete(CALL)).usage == expected
    assert [d.usage for batch in await streamed(provider) for d in batch if d.usage] == [expected]
    assert (await provider.complete(CALL)).usage is None


@pytest.mark.parametrize("model", ["../files/x", "a/b", "gemini:delete", "models/../x", "", "a?b=c", "a\n", "ä"])
async def test_names_that_are_none_become_no_address(
    server: FakeGeminiServer, provider: HttpProvider, model: str
) -> None:
    for ask in (
        provider.complete(call(model=model)),
        provider.embed(call(model=model)),
        provider.count_tokens(call(model=model)),
    ):
        with pytest.raises(ModelNotAvailable, match="name of a model"):
            await ask
    assert server.requests == []


async def test_tuned_models_have_their_own_place(server: FakeGeminiServer, provider: HttpProvider) -> None:
    await provider.complete(call(model="tunedModels/mine-1"))
    await provider.complete(call(model="models/gemini-3-pro"))

    assert [request.path.rpartition("/v1beta/")[2] for request in server.requests] == [
        "tunedModels/mine-1:generateContent",
        "models/gemini-3-pro:generateContent",
    ]


async def test_what_gemini_cannot_say_is_not_sent(server: FakeGeminiServer, provider: HttpProvider) -> None:
    with pytest.raises(RequestRejected, match="logit_bias") as caught:
        await provider.complete(call(extras={"logit_bias": {}}))

    assert caught.value.provider == "google"
    assert server.requests == []


# Embeddings and counts


async def test_a_hundred_texts_are_embedded_at_once(server: FakeGeminiServer, provider: HttpProvider) -> None:
    wanted = Parameters(embedding=EmbeddingParameters(2, "search_document"))
    texts = [Message("user", (TextPart(str(place)),)) for place in range(101)]

    completion = await provider.embed(ProviderCall("gemini-embedding-001", texts, wanted, UUID(int=1)))

    first, second = server.requests
    assert first.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert (len(first.json["requests"]), len(second.json["requests"])) == (100, 1)
    assert second.json["requests"] == [
        {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": "100"}]},
            "taskType": "RETRIEVAL_DOCUMENT",
            "outputDimensionality": 2,
        }
    ]
    parts = completion.answers[0].message.parts
    assert len(parts) == 101
    assert isinstance(parts[0], EmbeddingPart)
    assert b64decode(parts[0].vector) == b"\x00\x00\x00\x3f\x00\x00\x80\xbe"


async def test_a_missing_vector_is_noticed(server: FakeGeminiServer, provider: HttpProvider) -> None:
    server.script(Reply.json({"embeddings": [{"values": [1]}]}))

    with pytest.raises(MalformedReply, match="1 embeddings for 2 texts"):
        await provider.embed(call(*HI, *HI))


async def test_tokens_are_counted_with_tools_and_instructions(server: FakeGeminiServer, provider: HttpProvider) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    counted = await provider.count_tokens(call(Message("system", (TextPart("Be brief."),)), *HI, tools=(tool,)))

    assert counted == 7
    (request,) = server.requests
    assert request.path == "/v1beta/models/gemini-3-pro:countTokens"
    assert request.json == {
        "generateContentRequest": {
            "model": "models/gemini-3-pro",
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        }
    }


async def test_a_count_that_is_none_is_malformed(server: FakeGeminiServer, provider: HttpProvider) -> None:
    server.script(Reply.json({"totalTokens": "many"}), Reply.json({}))

    with pytest.raises(MalformedReply, match="no number"):
        await provider.count_tokens(CALL)
    assert await provider.count_tokens(CALL) == 0


# Errors


@pytest.mark.parametrize(
    ("reply", "kind", "wait"),
    [
        (ErrorReply(429, "RESOURCE_EXHAUSTED", "quota", retry_delay="34.5s"), RateLimited, 34.5),
        (ErrorReply(429, "RESOURCE_EXHAUSTED", "Please retry in 7s."), RateLimited, 7),
        (ErrorReply(429, "RESOURCE_EXHAUSTED", headers={"retry-after": "3"}, retry_delay="9s"), RateLimited, 3),
        (
            ErrorReply(429, "RESOURCE_EXHAUSTED", quota="RequestsPerMinutePerProject", retry_delay="9s"),
            RateLimited,
            9,
        ),
        (ErrorReply(429, "RESOURCE_EXHAUSTED", quota="RequestsPerDayPerProject"), QuotaExhausted, None),
        (ErrorReply(403, "PERMISSION_DENIED", "no access"), PermissionDenied, None),
        (ErrorReply(401, "UNAUTHENTICATED", "no token"), AuthenticationFailed, None),
        (
            ErrorReply(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            AuthenticationFailed,
            None,
        ),
        (ErrorReply(400, "INVALID_ARGUMENT", "bad key", reason="API_KEY_INVALID"), AuthenticationFailed, None),
        (ErrorReply(404, "NOT_FOUND", "models/x is not found for API version v1beta"), ModelNotAvailable, None),
        (ErrorReply(400, "INVALID_ARGUMENT", "Invalid value at 'tools[0]'"), RequestRejected, None),
        (
            ErrorReply(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1100020) exceeds the maximum number of tokens allowed (1048575).",
            ),
            ContextLengthExceeded,
            None,
        ),
        (ErrorReply(400, "FAILED_PRECONDITION", "User location is not supported"), RequestRejected, None),
        (ErrorReply(500, "INTERNAL", "An internal error has occurred."), Overloaded, None),
        (ErrorReply(503, "UNAVAILABLE", "The model is overloaded."), Overloaded, None),
        (ErrorReply(504, "DEADLINE_EXCEEDED", "too long"), Overloaded, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_are_told_apart(
    server: FakeGeminiServer,
    provider: HttpProvider,
    reply: Reply,
    kind: type[ProviderError],
    wait: float | None,
    stream: bool,
) -> None:
    # Errors of streams come in a list.
    server.script(provider_server.Reply(b"[" + reply.body + b"]", reply.status, reply.headers) if stream else reply)

    with pytest.raises(kind) as caught:
        await (streamed(provider) if stream else provider.complete(CALL))

    assert type(caught.value) is kind
    assert (caught.value.provider, caught.value.status, caught.value.retry_after) == ("google", reply.status, wait)
    assert json.loads(reply.body)["error"]["message"] in str(caught.value)


async def test_keys_are_in_no_message(server: FakeGeminiServer, provider: HttpProvider) -> None:
    server.script(ErrorReply(400, "INVALID_ARGUMENT", f"key {KEY}, token ya29.abc-DEF_0123456789"))

    with pytest.raises(RequestRejected) as caught:
        await provider.complete(CALL)

    assert KEY not in str(caught.value)
    assert "ya29" not in str(caught.value)


async def test_a_blocked_prompt(server: FakeGeminiServer, provider: HttpProvider) -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
    server.script(Reply.json(blocked), StreamReply([event(blocked)]))

    with pytest.raises(ContentFiltered, match="SAFETY"):
        await provider.complete(CALL)
    with pytest.raises(ContentFiltered, match="SAFETY"):
        await streamed(provider)


ERROR = {"error": gemini_server.error(503, "UNAVAILABLE", "The model is overloaded.")}


@pytest.mark.parametrize(
    "ending",
    [
        event(ERROR),
        json.dumps(ERROR).encode() + b"\n",
        json.dumps(ERROR, indent=2).encode(),  # as Google sends it: lines without a field before them
        json.dumps([ERROR], indent=2).encode(),
    ],
)
async def test_an_error_inside_a_stream(server: FakeGeminiServer, provider: HttpProvider, ending: bytes) -> None:
    server.script(StreamReply([event(response(candidate({"text": "a"}, finish_reason=None))), ending]))
    came: list[Sequence[Delta]] = []

    async def listen() -> None:
        async for batch in provider.stream(CALL):
            came.append(batch)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(Overloaded, match="overloaded") as caught:
        await listen()

    assert text_of(came) == "a"
    assert caught.value.may_be_charged


BEGUN = event(response(candidate({"text": "a"}, finish_reason=None), usage={"promptTokenCount": 5}))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (StreamReply([BEGUN], cut=True), StreamBroken),
        (StreamReply([BEGUN]), StreamBroken),
        (StreamReply([]), StreamBroken),
        (StreamReply([b": nothing\r\n\r\n"]), StreamBroken),
        (StreamReply([event(response(usage=USAGE))]), StreamBroken),
        (StreamReply([BEGUN, BEGUN[:30] + b"\r\n\r\n"]), MalformedReply),
        (StreamReply([b"data: 5\r\n\r\n"]), MalformedReply),
        (StreamReply([b'data: {"candidates": 5}\r\n\r\n']), MalformedReply),
        (StreamReply([event(response({"finishReason": "MALFORMED_FUNCTION_CALL"}))]), MalformedReply),
        (StreamReply([b"data: " + b"x" * (17 * 2**20)]), MalformedReply),
    ],
)
async def test_streams_that_are_none(
    server: FakeGeminiServer, provider: HttpProvider, reply: StreamReply, kind: type[ProviderError]
) -> None:
    server.script(reply)

    with pytest.raises(kind) as caught:
        await streamed(provider)

    assert type(caught.value) is kind
    assert caught.value.may_be_charged


async def test_an_enormous_piece_and_calls_with_one_id_come_through(
    server: FakeGeminiServer, provider: HttpProvider
) -> None:
    same = {"functionCall": {"id": "a", "name": "f", "args": {}}}
    server.script(StreamReply([event(response(candidate({"text": "x" * 5_000_000}, same, same)))]))

    builder = CompletionBuilder()
    for batch in await streamed(provider):
        for delta in batch:
            builder.add(delta)
    message = builder.completion().answers[0].message

    assert len(message.text) == 5_000_000
    assert message.tool_calls == (ToolCallPart("a", "f", "{}"), ToolCallPart("a", "f", "{}"))


async def test_a_stream_that_comes_whole_is_an_answer_all_the_same(
    server: FakeGeminiServer, provider: HttpProvider
) -> None:
    server.script(Reply.of("Whole."), Reply.json([ERROR]))

    assert text_of(await streamed(provider)) == "Whole."
    with pytest.raises(Overloaded):
        await streamed(provider)


async def test_replies_that_are_none(server: FakeGeminiServer, provider: HttpProvider) -> None:
    for body in (b"", b"<html>", b'{"candidates": [{"content": {"parts": [{"te', b"[]", b"{}", b"null"):
        server.script(Reply(body))
        with pytest.raises(MalformedReply):
            await provider.complete(CALL)


async def test_pictures_are_sent(server: FakeGeminiServer, provider: HttpProvider) -> None:
    picture = Message("user", (TextPart("See:"), ImagePart("data:image/png;base64,AA==")))

    await provider.complete(call(picture))

    assert server.requests[0].json["contents"][0]["parts"][1] == {
        "inlineData": {"mimeType": "image/png", "data": "AA=="}
    }


# Whatever comes


class Scripted(httpx2.AsyncBaseTransport):
    """Answers with some bytes, in pieces."""

    def __init__(self, pieces: list[bytes], content_type: str) -> None:
        self._pieces = pieces
        self._content_type = content_type

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": self._content_type}, content=self._read())

    async def _read(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


EVENTS = b"".join(
    [
        event(
            response(candidate({"text": "Grüße", "thought": True}, finish_reason=None), usage={"promptTokenCount": 2})
        ),
        event(response(candidate({"text": "a"}, {"functionCall": {"name": "f", "args": {}}}, finish_reason=None))),
        event(response(candidate({"text": "", "thoughtSignature": "U2ln"}))),
    ]
)


@given(
    st.lists(st.tuples(st.integers(0, len(EVENTS)), st.integers(0, 3), st.binary(max_size=4)), max_size=3),
    st.lists(st.integers(0, len(EVENTS)), max_size=4),
)
async def test_a_damaged_stream_is_an_answer_or_a_provider_error(
    damage: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    stream = EVENTS
    for place, gone, come in damage:
        stream = stream[:place] + come + stream[place + gone :]
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[begin:end] for begin, end in pairwise(edges)]
    provider = gemini("http://gemini.test/v1beta", Scripted(pieces, "text/event-stream"))

    builder = CompletionBuilder()
    with suppress(ProviderError):
        async for batch in provider.stream(CALL):
            for delta in batch:
                builder.add(delta)
        completion = builder.completion()
        assert completion.usage is None or completion.usage.input_tokens <= 2 * 10**12
    if not damage:
        assert builder.completion().usage == Usage(9, 4)


@given(st.binary(max_size=20), st.integers(0, 200))
async def test_a_damaged_reply_is_an_answer_or_a_provider_error(come: bytes, place: int) -> None:
    body = Reply.of("Grüße").body
    provider = gemini("http://gemini.test/v1beta", Scripted([body[:place] + come + body[place:]], "application/json"))

    with suppress(ProviderError):
        assert (await provider.complete(CALL)).answers
    if not come:
        assert (await provider.complete(CALL)).usage == Usage(9, 4)


# Configuration


def test_a_key_is_needed_at_google() -> None:
    with pytest.raises(ConfigurationError, match="GOOGLE_API_KEY"):
        make_provider("gemini", ProviderConfig("google"))
    with pytest.raises(ConfigurationError, match="no option"):
        make_provider("gemini", ProviderConfig("google", api_key=KEY, options={"project": "x"}))


async def test_an_address_of_ones_own_may_do_without_a_key(server: FakeGeminiServer) -> None:
    async with running(server, "/v1beta") as base_url:
        provider = gemini(base_url, api_key=None, headers={"Authorization": "Bearer mine"})
        await provider.complete(CALL)
        await provider.aclose()

    assert server.requests[0].headers["authorization"] == "Bearer mine"
    assert "x-goog-api-key" not in server.requests[0].headers
