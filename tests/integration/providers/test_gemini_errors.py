"""The Gemini API on the wire: errors, and whatever else may come back instead of an answer."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import pairwise

import httpx2
import pytest
from gemini_making import CALL, KEY, call, gemini, streamed, text_of
from hypothesis import given, strategies as st

from send2llm.domain.completion import Delta, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
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
from send2llm.domain.message import ImagePart, Message, TextPart, ToolCallPart
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


@pytest.fixture
async def server() -> FakeGeminiServer:
    return FakeGeminiServer()


@pytest.fixture
async def provider(server: FakeGeminiServer) -> AsyncIterator[HttpProvider]:
    async with running(server, "/v1beta") as base_url:
        provider = gemini(base_url)
        yield provider
        await provider.aclose()


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
