"""The adapter on the wire: what it sends, and what it makes of everything that may come back."""

import asyncio
import gc
import gzip
import logging
import socket
import warnings
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import httpx2
import pytest
from making import openai_compatible

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Delta, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    ProviderError,
    ProviderTimedOut,
    RateLimited,
    StreamBroken,
)
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.providers import streams
from send2llm.infrastructure.providers.http_provider import LARGEST_REPLY, HttpProvider
from send2llm.infrastructure.providers.registry import ConfiguredProviders
from send2llm.testing.openai_server import (
    DONE,
    USAGE,
    ErrorReply,
    FakeOpenAIServer,
    Reply,
    StreamReply,
    chunk,
    completion_chunks,
    event,
    running,
)

KEY = "sk-test-0123456789"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("some-model", HI, Parameters(), UUID(int=1))


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> list[Sequence[Delta]]:
    return [batch async for batch in provider.stream(call)]


def text_of(batches: list[Sequence[Delta]]) -> str:
    return "".join(delta.text for batch in batches for delta in batch)


# What is sent


async def test_a_call_is_sent_as_the_sdk_would(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    parameters = Parameters(temperature=0, extras={"top_k": 4})

    await provider.complete(ProviderCall("some-model", HI, parameters, UUID(int=1)))

    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.json == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0,
        "top_k": 4,
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("send2llm/")
    assert request.headers["content-length"] == str(len(request.body))
    assert request.headers["host"].startswith("127.0.0.1:")


async def test_a_stream_always_asks_for_its_usage(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    await streamed(provider)

    assert server.requests[0].json["stream"] is True
    assert server.requests[0].json["stream_options"] == {"include_usage": True}


async def test_what_a_server_needs_can_be_configured(server: FakeOpenAIServer, base_url: str) -> None:
    provider = openai_compatible(
        "azure",
        f"{base_url}/deployments/x/?api-version=2026-01-01",
        headers={"API-Key": "azure-key-1", "User-Agent": "mine"},
        stream_usage=False,
        output_limit="max_completion_tokens",
    )

    await streamed(provider, ProviderCall("m", HI, Parameters(max_output_tokens=5), UUID(int=1)))
    await provider.aclose()

    (request,) = server.requests
    assert (request.path, request.query) == ("/v1/deployments/x/chat/completions", "api-version=2026-01-01")
    assert (request.headers["api-key"], request.headers["user-agent"]) == ("azure-key-1", "mine")
    assert "authorization" not in request.headers
    assert request.json["max_completion_tokens"] == 5
    assert "stream_options" not in request.json


async def test_large_requests_are_sent_whole(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    text = "x" * 3_000_000

    await provider.complete(ProviderCall("m", [Message("user", (TextPart(text),))], Parameters(), UUID(int=1)))

    assert server.requests[0].json["messages"][0]["content"] == text


@pytest.mark.parametrize("stream", [False, True])
async def test_connections_are_used_again(base_url: str, stream: bool) -> None:
    provider = openai_compatible("acme", base_url)
    session = provider._transport
    for _ in range(5):
        await (streamed(provider) if stream else provider.complete(CALL))

    connections = list(session._session.connector._conns.values())  # type: ignore[attr-defined]
    assert sum(map(len, connections)) == 1
    await provider.aclose()


# What comes back


async def test_a_reply_keeps_its_bytes(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    reply = Reply.of("Grüße", reasoning_content="hm")
    server.script(reply)

    completion = await provider.complete(CALL)

    assert completion.body == reply.body
    assert completion.format == "openai"
    assert completion.answers[0].message.text == "Grüße"
    assert completion.usage == Usage(9, 4)


async def test_events_keep_their_bytes_except_comments_and_the_end_mark(
    server: FakeOpenAIServer, provider: HttpProvider
) -> None:
    events = [event(body) for body in completion_chunks("one two")]
    pieces = [b": PROCESSING\n\n", b"retry: 3\n\n", *events[:2], b":\n\n", *events[2:], DONE]
    server.script(StreamReply(pieces))

    batches = await streamed(provider)

    assert b"".join(delta.raw or b"" for batch in batches for delta in batch) == b"".join(events)
    assert all(batches)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_events_and_characters_may_come_in_any_pieces(
    server: FakeOpenAIServer, provider: HttpProvider, size: int
) -> None:
    whole = b"".join(
        event(body).replace(b"\n", b"\r\n") for body in completion_chunks("añb \N{SNOWMAN} \N{PILE OF POO}")
    )
    whole += DONE
    server.script(StreamReply([whole[place : place + size] for place in range(0, len(whole), size)]))

    assert text_of(await streamed(provider)) == "añb \N{SNOWMAN} \N{PILE OF POO}"


async def test_a_reported_cost_is_kept(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    usage = {**USAGE, "cost": 0.00014}
    server.script(Reply.of(usage=usage), StreamReply.of(usage=usage))
    builder = CompletionBuilder()

    whole = await provider.complete(CALL)
    for batch in await streamed(provider):
        for delta in batch:
            builder.add(delta)

    assert whole.reported_cost_usd == builder.completion().reported_cost_usd == Decimal("0.00014")


async def test_a_server_that_does_not_stream_gives_its_answer_at_once(
    server: FakeOpenAIServer, provider: HttpProvider
) -> None:
    server.script(Reply.of("All at once", usage=USAGE))

    batches = await streamed(provider)

    assert text_of(batches) == "All at once"
    assert batches[-1][-1].usage == Usage(9, 4)


async def test_a_stream_without_end_mark_is_whole_when_its_answers_are(
    server: FakeOpenAIServer, provider: HttpProvider
) -> None:
    server.script(StreamReply.of("fine", done=False))

    assert text_of(await streamed(provider)) == "fine"


async def test_an_end_mark_without_blank_line_is_an_end_mark(server: FakeOpenAIServer, provider: HttpProvider) -> None:
    server.script(StreamReply([event(chunk(content="x")), b"data: [DONE]"]))

    assert text_of(await streamed(provider)) == "x"


async def test_what_comes_after_the_end_mark_does_not_hold_up_the_end(
    server: FakeOpenAIServer, provider: HttpProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "END_OF_BODY_WAIT", 0.01)
    server.script(StreamReply([event(chunk(content="x")), DONE, asyncio.Event()]))

    assert text_of(await streamed(provider)) == "x"
    await server.disconnected.wait()


CONTENT = event(chunk(role="assistant", content="half"))


@pytest.mark.parametrize(
    "reply",
    [
        StreamReply([CONTENT]),
        StreamReply([CONTENT], cut=True),
        StreamReply([CONTENT, b'data: {"id": "x", "cho']),
        StreamReply([CONTENT, event(chunk("stop")), event(chunk(content="second", index=1))]),
        StreamReply([]),
        StreamReply([b": ping\n\n"]),
    ],
)
async def test_a_stream_that_ends_in_the_middle_is_broken(
    server: FakeOpenAIServer, provider: HttpProvider, reply: StreamReply
) -> None:
    server.script(reply)

    with pytest.raises((StreamBroken, MalformedReply)) as caught:
        await streamed(provider)

    assert caught.value.provider == "acme"
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (b"data: {nonsense}\n\n", MalformedReply),
        (b'data: {"choices": 4}\n\n', MalformedReply),
        (b"data: [1]\n\n", MalformedReply),
        (b'data: {"error": {"message": "Rate limit", "code": 429}}\n\n', RateLimited),
        (b'event: error\ndata: {"error": {"message": "boom", "type": "server_error"}}\n\n', Overloaded),
    ],
)
async def test_an_error_in_mid_stream_comes_after_what_was_said_before(
    server: FakeOpenAIServer, provider: HttpProvider, piece: bytes, kind: type[ProviderError]
) -> None:
    server.script(StreamReply([CONTENT + piece]))
    stream = aiter(provider.stream(CALL))

    assert text_of([await anext(stream)]) == "half"
    with pytest.raises(kind) as caught:
        await anext(stream)

    assert caught.value.provider == "acme"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(b"<html>Welcome</html>", content_type="text/html"), MalformedReply),
        (Reply(b""), MalformedReply),
        (Reply(b'{"choices": []}'), MalformedReply),
        (Reply(b'{"error": {"message": "slow down", "code": 429}}'), RateLimited),
        (Reply(b'{"error": "model not found"}'), ModelNotAvailable),
        (ErrorReply(401), AuthenticationFailed),
        (ErrorReply(400, code="context_length_exceeded"), ContextLengthExceeded),
        (ErrorReply(500), Overloaded),
        (Reply(b"x" * 300_000, 503, content_type="text/plain"), Overloaded),
        (Reply(b"", 302, {"location": "/elsewhere"}), ProviderError),
        (Reply(b"{}", headers={"content-encoding": "gzip"}), MalformedReply),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_answer_is_an_error(
    server: FakeOpenAIServer, provider: HttpProvider, reply: Reply, kind: type[ProviderError], stream: bool
) -> None:
    server.script(reply)

    with pytest.raises(ProviderError) as caught:
        await (streamed(provider) if stream else provider.complete(CALL))

    assert type(caught.value) is kind or (stream and type(caught.value) is StreamBroken)
    assert caught.value.provider == "acme"
    assert len(server.requests) == 1


async def test_a_reply_that_unpacks_to_more_than_the_service_can_bear(
    server: FakeOpenAIServer, provider: HttpProvider
) -> None:
    answer = b'{"choices": [{"message": {"role": "assistant", "content": "' + b"x" * LARGEST_REPLY + b'"}}]}'
    server.script(Reply(gzip.compress(answer, 1), headers={"content-encoding": "gzip"}))

    with pytest.raises(MalformedReply, match="larger than"):
        await provider.complete(CALL)


async def test_a_list_of_models_may_have_other_shapes() -> None:
    bodies = iter([b'{"data": [{"id": "a"}, {"x": 1}]}', b'[{"id": "b"}]', b'{"models": [{"id": "c"}]}', b"{}", b"no"])
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=next(bodies)))
    provider = openai_compatible("acme", "http://test/v1", transport)

    assert [await provider.models() for _ in range(4)] == [["a"], ["b"], ["c"], []]
    with pytest.raises(MalformedReply):
        await provider.models()


# The network


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    provider = openai_compatible("acme", f"http://127.0.0.1:{port}/v1", api_key=KEY)

    for ask in (provider.complete(CALL), streamed(provider), provider.models()):
        with pytest.raises(ConnectionFailed, match="check its base_url") as caught:
            await ask
        assert (caught.value.provider, caught.value.retryable) == ("acme", True)
    await provider.aclose()


async def test_a_connection_that_takes_too_long() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        assert request.extensions["timeout"] == {"connect": 1.5, "read": None, "write": None, "pool": None}
        raise httpx2.ConnectTimeout("too slow", request=request)

    provider = openai_compatible("acme", "http://test/v1", httpx2.MockTransport(refuse), connect_timeout=1.5)

    with pytest.raises(ProviderTimedOut, match=r"within 1.5 s \(connect\)"):
        await provider.complete(CALL)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}", b"\x16\x03\x01 what?\r\n\r\n"]
)
async def test_a_connection_that_is_lost_before_the_answer(answer: bytes) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    dropping = await asyncio.start_server(drop, "127.0.0.1", 0)
    async with dropping:
        port = dropping.sockets[0].getsockname()[1]
        provider = openai_compatible("acme", f"http://127.0.0.1:{port}/v1")
        with pytest.raises(ConnectionFailed):
            await provider.complete(CALL)
        await provider.aclose()


# Secrets and order


async def test_keys_are_in_no_error_representation_or_log(
    server: FakeOpenAIServer, provider: HttpProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(ErrorReply(401, message=f"Incorrect API key provided: {KEY}"))

    with pytest.raises(AuthenticationFailed) as caught:
        await provider.complete(CALL)

    assert KEY not in f"{caught.value!r} {provider!r} {caplog.text}"
    assert repr(provider) == "<HttpProvider acme>"


async def test_nothing_is_left_open() -> None:
    server = FakeOpenAIServer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with running(server) as base_url:
            providers = ConfiguredProviders({"acme": openai_compatible("acme", base_url)})
            await providers.get("acme").complete(CALL)
            stream = aiter(providers.get("acme").stream(CALL))
            await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
            await providers.aclose()
            await providers.aclose()
        del providers, stream
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def test_the_registry_knows_the_configured_names(provider: HttpProvider) -> None:
    providers = ConfiguredProviders({"acme": provider})

    assert providers.names == ("acme",)
    assert providers.get("acme") is provider
    with pytest.raises(KeyError):
        providers.get("other")
