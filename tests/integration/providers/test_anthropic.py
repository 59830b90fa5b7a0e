"""Anthropic's provider on the wire: what it sends, and what it makes of everything that may come back."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from making import made

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Delta, Parameters, Usage
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
from send2llm.domain.message import ForeignPart, Message, TextPart
from send2llm.infrastructure.formats.anthropic import EventReader, read_reply
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.anthropic_server import (
    MODEL,
    PING,
    STOP,
    USAGE,
    ErrorReply,
    FakeAnthropicServer,
    Reply,
    StreamReply,
    event,
    events_of,
    message,
    running,
    text,
)

KEY = "sk-ant-test-0123456789"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall(MODEL, HI, Parameters(), UUID(int=1))


@pytest.fixture
async def fake() -> FakeAnthropicServer:
    return FakeAnthropicServer()


@pytest.fixture
async def address(fake: FakeAnthropicServer) -> AsyncIterator[str]:
    async with running(fake, path="") as url:
        yield url


@pytest.fixture
async def claude(address: str) -> AsyncIterator[HttpProvider]:
    provider = made("anthropic", "claude", address, api_key=KEY)
    yield provider
    await provider.aclose()


def call(messages: Sequence[Message] = HI, **parameters: Any) -> ProviderCall:
    return ProviderCall(MODEL, messages, Parameters(**parameters), UUID(int=1))


async def streamed(provider: HttpProvider, one: ProviderCall = CALL) -> list[Delta]:
    return [delta async for batch in provider.stream(one) for delta in batch]


def text_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


# What is sent


async def test_a_call_is_sent_as_the_sdk_would(fake: FakeAnthropicServer, claude: HttpProvider) -> None:
    await claude.complete(CALL)

    (request,) = fake.requests
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.json == {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8192}
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert "x-api-key" not in request.headers
    assert "anthropic-beta" not in request.headers


OLD = {"anthropic-version": "2023-06-01", "x-api-key": KEY}
NEW = {"anthropic-version": "2026-10-21", "authorization": f"Bearer {KEY}"}
DOCUMENT = ForeignPart("anthropic", {"type": "document", "source": {"type": "text", "data": "x"}})
CITED = TextPart("x", extras={"citations": [{"type": "char_location"}]})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (call(temperature=0.5), OLD),
        (call(top_p=0.5), OLD),
        (call(top_k=5), OLD),
        (call([*HI, Message("assistant", (DOCUMENT, TextPart("x")), format="anthropic"), *HI]), OLD),
        (call([Message("user", (CITED,), format="anthropic")]), OLD),
        (call([Message("user", (DOCUMENT, TextPart("x")), format="anthropic")]), NEW),
        (call([*HI, Message("assistant", (CITED,), format="anthropic"), *HI]), NEW),
        (call(format="anthropic", extras={"anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}),
         {**OLD, "anthropic-beta": "a,b"}),
        (call(format="openai", extras={"user": "u"}), NEW),
    ],
)  # fmt: skip
async def test_the_version_is_the_newer_one_unless_that_refuses_the_call(
    fake: FakeAnthropicServer, claude: HttpProvider, one: ProviderCall, expected: dict[str, str]
) -> None:
    await claude.complete(one)
    headers = fake.requests[0].headers
    assert {name: headers[name] for name in (*OLD, *NEW, "anthropic-beta") if name in headers} == expected


async def test_a_pinned_version_is_spoken_in_all_calls(fake: FakeAnthropicServer, address: str) -> None:
    provider = made(
        "anthropic",
        "claude",
        address,
        api_key=KEY,
        options={"version": "2023-06-01"},
        headers={"Anthropic-Beta": "mine"},
    )
    theirs = {"anthropic-version": "2026-10-21", "anthropic-beta": "theirs"}
    await provider.complete(call(format="anthropic", extras=theirs))
    await provider.models()
    await provider.aclose()
    for request in fake.requests:
        assert (request.headers["anthropic-version"], request.headers["x-api-key"]) == ("2023-06-01", KEY)
    assert fake.requests[0].headers["anthropic-beta"] == "mine,theirs"


async def test_the_operators_own_headers_win(fake: FakeAnthropicServer, address: str) -> None:
    provider = made("anthropic", "claude", address, headers={"X-Api-Key": "other", "anthropic-version": "2023-06-01"})
    await provider.complete(CALL)
    await provider.aclose()
    assert fake.requests[0].headers["x-api-key"] == "other"
    assert "authorization" not in fake.requests[0].headers


async def test_options(fake: FakeAnthropicServer, address: str) -> None:
    provider = made("anthropic", "claude", address, api_key=KEY, options={"max_tokens": 5, "system_messages": True})
    said = [*HI, Message("assistant", (TextPart("x"),)), *HI, Message("system", (TextPart("s"),))]
    await provider.complete(call(said))
    await provider.aclose()
    body = fake.requests[0].json
    assert (body["max_tokens"], body["messages"][-1]) == (5, {"role": "system", "content": "s"})
    with pytest.raises(ConfigurationError, match="Did you mean max_tokens"):
        make_provider("anthropic", ProviderConfig("claude", address, options={"max_token": 5}))
    with pytest.raises(ConfigurationError, match="base_url"):
        make_provider("anthropic", ProviderConfig("claude"))


async def test_tokens_are_counted(fake: FakeAnthropicServer, claude: HttpProvider) -> None:
    tools = ({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},)
    extras = {"metadata": {"user_id": "u"}, "thinking": {"type": "adaptive"}}
    assert await claude.count_tokens(call(tools=tools, temperature=1, format="anthropic", extras=extras)) == 14
    assert fake.requests[0].path == "/v1/messages/count_tokens"
    assert fake.requests[0].json == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "thinking": {"type": "adaptive"},
    }


async def test_all_pages_of_models_are_read(fake: FakeAnthropicServer, claude: HttpProvider) -> None:
    fake.models = [f"claude-{n}" for n in range(2300)]
    assert list(await claude.models()) == fake.models
    assert [request.query for request in fake.requests] == [
        "limit=1000", "limit=1000&after_id=claude-999", "limit=1000&after_id=claude-1999",
    ]  # fmt: skip


# What comes back


async def test_a_reply_keeps_its_bytes(fake: FakeAnthropicServer, claude: HttpProvider) -> None:
    reply = Reply.of("Grüße", container={"id": "c"})
    fake.script(reply)
    completion = await claude.complete(CALL)
    assert (completion.body, completion.format) == (reply.body, "anthropic")
    assert completion.answers[0].message.text == "Grüße"
    assert completion.usage == Usage(9, 4)


@pytest.mark.parametrize("size", [1, 3, 64])
async def test_a_stream_keeps_its_bytes_wherever_it_is_cut(
    fake: FakeAnthropicServer, claude: HttpProvider, size: int
) -> None:
    whole = b"".join(events_of(message(text("añb \N{SNOWMAN} \N{PILE OF POO}"))))
    fake.script(StreamReply([b": hello\n\n", *(whole[place : place + size] for place in range(0, len(whole), size))]))
    deltas = await streamed(claude)
    assert text_of(deltas) == "añb \N{SNOWMAN} \N{PILE OF POO}"
    assert b"".join(delta.raw or b"" for delta in deltas) == whole


async def test_a_stream_without_end_mark_is_whole_when_it_told_why_it_ended(
    fake: FakeAnthropicServer, claude: HttpProvider
) -> None:
    fake.script(StreamReply(events_of(message(text("fine")))[:-1]))
    assert text_of(await streamed(claude)) == "fine"


async def test_without_usage_none_is_reported(fake: FakeAnthropicServer, claude: HttpProvider) -> None:
    fake.script(Reply.of("x", usage=None), StreamReply.of("x", usage=None))
    assert (await claude.complete(CALL)).usage is None
    assert [delta.usage for delta in await streamed(claude) if delta.usage] == []


async def test_a_server_that_does_not_stream_gives_its_answer_at_once(
    fake: FakeAnthropicServer, claude: HttpProvider
) -> None:
    fake.script(Reply.of("at once"))
    assert text_of(await streamed(claude)) == "at once"


BEGIN = events_of(message(text("half")))[:4]
CLOSE = event("content_block_stop", index=0)


@pytest.mark.parametrize(
    "reply",
    [
        StreamReply([]),
        StreamReply([PING]),
        StreamReply(BEGIN),
        StreamReply(BEGIN, cut=True),
        StreamReply([*BEGIN, CLOSE]),
        StreamReply([*BEGIN, b'event: message_delta\ndata: {"type": "mess']),
    ],
)
async def test_a_stream_that_ends_in_the_middle_is_broken(
    fake: FakeAnthropicServer, claude: HttpProvider, reply: StreamReply
) -> None:
    fake.script(reply)
    with pytest.raises((StreamBroken, MalformedReply)) as caught:
        await streamed(claude)
    assert (caught.value.provider, caught.value.retryable) == ("claude", True)


def reported(kind: str, said: str = "no") -> bytes:
    return event("error", error={"type": kind, "message": said}, request_id="req_1")


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (reported("overloaded_error", "Overloaded"), Overloaded),
        (reported("rate_limit_error"), RateLimited),
        (reported("api_error"), Overloaded),
        (reported("timeout_error"), Overloaded),
        (reported("authentication_error"), AuthenticationFailed),
        (reported("billing_error"), QuotaExhausted),
        (reported("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), ContextLengthExceeded),
        (b'event: error\ndata: {"type": "error"}\n\n', ProviderError),
        (b"event: x\ndata: {nonsense}\n\n", MalformedReply),
        (b"event: x\ndata: [1]\n\n", MalformedReply),
        (event("content_block_start", index=0, content_block=text("")), MalformedReply),
    ],
)
async def test_an_error_in_mid_stream_comes_after_what_was_said_before(
    fake: FakeAnthropicServer, claude: HttpProvider, piece: bytes, kind: type[ProviderError]
) -> None:
    fake.script(StreamReply([b"".join(BEGIN) + piece]))
    stream = aiter(claude.stream(CALL))
    assert text_of(await anext(stream)) == "half"
    with pytest.raises(kind) as caught:
        await anext(stream)
    assert caught.value.provider == "claude"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (ErrorReply(400, message="messages.0: bad"), RequestRejected),
        (ErrorReply(400, message="prompt is too long: 210000 tokens > 200000 maximum"), ContextLengthExceeded),
        (ErrorReply(400, message="input length and `max_tokens` exceed context limit: 9 > 8"), ContextLengthExceeded),
        (ErrorReply(400, message="Your credit balance is too low to access the Anthropic API."), QuotaExhausted),
        (ErrorReply(400, message="You have reached your specified API usage limits."), QuotaExhausted),
        (ErrorReply(400, message="Output blocked by content filtering policy"), ContentFiltered),
        (ErrorReply(401, message=f"invalid x-api-key {KEY}"), AuthenticationFailed),
        (ErrorReply(402), QuotaExhausted),
        (ErrorReply(403), PermissionDenied),
        (ErrorReply(404, message="model: claude-9"), ModelNotAvailable),
        (ErrorReply(413), RequestRejected),
        (ErrorReply(429, {"retry-after": "7"}), RateLimited),
        (ErrorReply(500), Overloaded),
        (ErrorReply(504), Overloaded),
        (ErrorReply(529), Overloaded),
        (Reply(b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}'), Overloaded),
        (Reply(b"<html>Bad gateway</html>", 502, content_type="text/html"), Overloaded),
        (Reply(b""), MalformedReply),
        (Reply(b'{"content": [{"type": "te'), MalformedReply),
        (Reply(b'{"content": "x", "stop_reason": 3}'), MalformedReply),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_are_of_the_right_kind(
    fake: FakeAnthropicServer, claude: HttpProvider, reply: Reply, kind: type[ProviderError], stream: bool
) -> None:
    fake.script(reply)
    with pytest.raises(ProviderError) as caught:
        await (streamed(claude) if stream else claude.complete(CALL))
    assert type(caught.value) is kind
    assert caught.value.provider == "claude"
    assert caught.value.retry_after == (7 if reply.status == 429 else None)
    assert KEY not in repr(caught.value)


@pytest.mark.parametrize("body", [b"{}", b'{"input_tokens": "4"}', b'{"input_tokens": true}', b"x"])
async def test_a_count_that_is_none(fake: FakeAnthropicServer, claude: HttpProvider, body: bytes) -> None:
    fake.at_once = lambda _: Reply(body)  # type: ignore[method-assign]
    with pytest.raises(MalformedReply):
        await claude.count_tokens(CALL)


async def test_a_large_piece(fake: FakeAnthropicServer, claude: HttpProvider) -> None:
    fake.script(StreamReply.of("x" * 3_000_000))
    assert len(text_of(await streamed(claude))) == 3_000_000


async def test_what_comes_after_the_end_mark_does_not_hold_up_the_end(
    fake: FakeAnthropicServer, claude: HttpProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("send2llm.infrastructure.providers.streams.END_OF_BODY_WAIT", 0.01)
    fake.script(StreamReply([*events_of(message(text("x"))), asyncio.Event()]))
    assert text_of(await streamed(claude)) == "x"
    await fake.disconnected.wait()


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_type", max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A reply with one of its values replaced, somewhere inside."""
    body = json.loads(json.dumps(message(text("x"), {"type": "tool_use", "id": "a", "name": "f", "input": {}})))
    inside: Any = body
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = draw(st.sampled_from(keys))
        if not isinstance(inside[key], dict | list) or not inside[key] or draw(st.booleans()):
            inside[key] = draw(JSON)
            return body
        inside = inside[key]


@given(damaged())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_a_damaged_reply_is_read_or_a_clear_error(body: Any) -> None:
    try:
        completion = read_reply(json.dumps(body).encode())
    except MalformedReply:
        return
    usage = completion.usage
    assert usage is None or usage.cache_read_input_tokens + usage.cache_write_input_tokens <= usage.input_tokens


@given(
    st.permutations(events_of(message(text("a b"), {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}})))
)
def test_events_in_any_order_are_read_or_a_clear_error(events: list[bytes]) -> None:
    reader, builder = EventReader(), CompletionBuilder()
    try:
        for one in events:
            for delta in reader.read(json.loads(one.split(b"data: ", 1)[1]), one):
                builder.add(delta)
        completion = builder.completion()
    except MalformedReply:
        return
    assert completion.usage in (None, Usage(9, 4), Usage(0, 4))
    assert USAGE["output_tokens"] == 4
    assert STOP in events
