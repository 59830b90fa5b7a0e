"""Callers who leave before the end: the provider is left too, and what is known is recorded."""

import asyncio
import contextlib
import socket

import pytest

from gateway import HELLO, MODEL, Gateway, soon
from send2llm.testing.openai_server import DONE, FakeOpenAIServer, Reply, StreamReply, chunk, event

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def call(gateway: Gateway, path: str, *, stream: bool) -> tuple[str, dict[str, object]]:
    """Where to send what: both ways in are to behave alike."""
    if path == "/api":
        conversation = await gateway.start_conversation()
        await gateway.forget()
        return f"/api/conversations/{conversation}/messages", {"model": MODEL, "content": "hello", "stream": stream}
    return path, {"model": MODEL, "messages": HELLO, "stream": stream}


@pytest.mark.parametrize("way", ["/v1/chat/completions", "/api"])
async def test_leaving_before_a_whole_answer(gateway: Gateway, provider: FakeOpenAIServer, way: str) -> None:
    url, body = await call(gateway, way, stream=False)
    provider.script(Reply.of(gate=asyncio.Event()))
    asking = asyncio.create_task(gateway.api.post(url, json=body))
    await provider.arrived()
    asking.cancel()

    await asyncio.wait_for(provider.disconnected.wait(), 10)
    interrupted = await gateway.event("conversation.completion_interrupted")
    assert interrupted.data["reason"] == "client_disconnected"
    assert interrupted.data.get("cost_usd") is None
    with contextlib.suppress(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize("way", ["/v1/chat/completions", "/api"])
async def test_leaving_before_the_first_token(gateway: Gateway, provider: FakeOpenAIServer, way: str) -> None:
    url, body = await call(gateway, way, stream=True)
    provider.script(StreamReply([asyncio.Event()]))
    asking = asyncio.create_task(gateway.api.post(url, json=body))
    await provider.arrived()
    asking.cancel()

    await asyncio.wait_for(provider.disconnected.wait(), 10)
    assert (await gateway.event("conversation.completion_interrupted")).data["reason"] == "client_disconnected"
    with contextlib.suppress(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize("way", ["/v1/chat/completions", "/api"])
async def test_leaving_in_mid_stream(gateway: Gateway, provider: FakeOpenAIServer, way: str) -> None:
    url, body = await call(gateway, way, stream=True)
    provider.script(StreamReply([event(chunk(role="assistant", content="one")), asyncio.Event(), DONE]))
    async with gateway.api.stream("POST", url, json=body) as response:
        assert response.status_code == 200
        async for piece in response.aiter_text():
            if "one" in piece:
                break

    await asyncio.wait_for(provider.disconnected.wait(), 10)
    interrupted = await gateway.event("conversation.completion_interrupted")
    assert interrupted.data["reason"] == "client_disconnected"
    assert interrupted.data["partial_text"] == "one"
    assert interrupted.data["estimated_usage"]["input_tokens"] > 0
    assert "completion_received" not in await gateway.topics()


async def test_the_sdk_that_closes_its_stream(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(StreamReply([event(chunk(role="assistant", content="one")), asyncio.Event(), DONE]))
    stream = await gateway.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    async for _ in stream:
        break
    await stream.close()
    await asyncio.wait_for(provider.disconnected.wait(), 10)
    assert (await gateway.event("conversation.completion_interrupted")).data["partial_text"] == "one"


async def test_the_conversation_goes_on_after_its_caller_left(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation = await gateway.start_conversation()
    await gateway.forget()
    url, body = f"/api/conversations/{conversation}/messages", {"model": MODEL, "content": "hello"}
    provider.script(Reply.of(gate=asyncio.Event()))
    asking = asyncio.create_task(gateway.api.post(url, json=body))
    await provider.arrived()
    asking.cancel()
    await gateway.event("conversation.completion_interrupted")

    assert (await gateway.api.post(url, json=body)).status_code == 200
    with contextlib.suppress(asyncio.CancelledError):
        await asking


async def test_leaving_in_the_middle_of_the_request(gateway: Gateway) -> None:
    """Nothing is recorded of a request that never came whole."""
    host, port = gateway.address.removeprefix("http://").split(":")
    for path in ("/v1/chat/completions", "/api/conversations"):
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
        writer.write(head.encode() + b'{"model": "m"')
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await gateway.ask()).status_code == 200
    assert len(await gateway.events("conversation.started")) == 1


async def test_a_caller_who_stops_reading_and_then_leaves(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    """The answer fills all buffers, so that the service waits for the caller when the connection breaks."""
    piece = event(chunk(role="assistant", content="x" * 65536))
    provider.script(StreamReply([piece] * 500 + [asyncio.Event()]))
    host, port = gateway.address.removeprefix("http://").split(":")
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(caller, (host, int(port)))
    body = b'{"model": "%s", "messages": [{"role": "user", "content": "x"}], "stream": true}' % MODEL.encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    await loop.sock_sendall(caller, head + body)
    assert (await loop.sock_recv(caller, 1000)).startswith(b"HTTP/1.1 200")
    caller.close()

    await asyncio.wait_for(provider.disconnected.wait(), 10)
    assert (await gateway.event("conversation.completion_interrupted")).data["reason"] == "client_disconnected"


async def test_nothing_is_in_flight_afterwards(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(Reply.of(gate=asyncio.Event()))
    asking = asyncio.create_task(gateway.ask())
    await provider.arrived()

    async def in_flight() -> str:
        page = (await gateway.api.get("/metrics")).text
        return next(line.split()[-1] for line in page.splitlines() if line.startswith("send2llm_calls_in_flight"))

    assert await in_flight() == "1.0"
    asking.cancel()

    async def ended() -> bool:
        return await in_flight() == "0.0"

    await soon(ended)
    with contextlib.suppress(asyncio.CancelledError):
        await asking
