"""A provider that costs next to nothing, to measure the service and not its upstream.

Speaks just enough of OpenAI's chat completions: ``POST .../chat/completions`` (JSON, or SSE with 50 chunks) and
``GET .../models``, on kept connections, with every reply made beforehand. The name of the model picks the latency:

    instant       at once, a stream as one write
    wait-50       after 50 ms
    drip-50-20    a stream whose chunks are written one by one: the first after 50 ms, the others 20 ms apart (or 0)

Run: ``python benchmarks/upstream.py --port 9100``, pinned to another core than the service.
"""

import argparse
import asyncio
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

import orjson
import uvloop

CHUNKS = 50
USAGE = {"prompt_tokens": 120, "completion_tokens": CHUNKS, "total_tokens": 120 + CHUNKS}
WORDS = [f"word{number} " for number in range(CHUNKS)]

_MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
_LATENCY = re.compile(rb"(?:wait|drip)-(\d+)(?:-(\d+))?")
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect:\s*100-continue", re.IGNORECASE)


def reply_of(body: object) -> bytes:
    content = orjson.dumps(body)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(content) + content


@lru_cache
def completion(model: bytes) -> bytes:
    message = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
    return reply_of(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": model.decode(),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    )


@lru_cache
def events(model: bytes) -> list[bytes]:
    """The whole stream, each event in its own HTTP chunk."""

    def bodies() -> Iterator[dict[str, object]]:
        for word in WORDS:
            yield {"choices": [{"index": 0, "delta": {"content": word}, "logprobs": None, "finish_reason": None}]}
        yield {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]}
        yield {"choices": [], "usage": USAGE}

    common = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model.decode(),
    }
    lines = [b"data: " + orjson.dumps({**common, **body}) + b"\n\n" for body in bodies()]
    lines.append(b"data: [DONE]\n\n")
    return [b"%x\r\n%s\r\n" % (len(line), line) for line in lines]


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STREAM_END = b"0\r\n\r\n"
MODELS = reply_of({"object": "list", "data": [{"id": "instant", "object": "model", "created": 0, "owned_by": "bench"}]})


class Upstream(asyncio.Protocol):
    """One connection: takes a request after the other."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._transport = None
        if self._answer is not None:
            self._answer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        while head_end >= 0:
            head = self._received[:head_end]
            length = _LENGTH.search(head)
            end = head_end + 4 + (int(length.group(1)) if length else 0)
            if len(self._received) < end:
                if _CONTINUE.search(head):
                    self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body, self._received = self._received[head_end + 4 : end], self._received[end:]
            self._reply(head, body)
            head_end = self._received.find(b"\r\n\r\n")

    def _reply(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET "):
            self._write(MODELS)
            return
        found = _MODEL.search(body)
        model = found.group(1) if found else b""
        stream = _STREAM.search(body) is not None
        latency = _LATENCY.match(model)
        if latency is None:
            self._write(STREAM_HEAD + b"".join(events(model)) + STREAM_END if stream else completion(model))
            return
        wait, gap = int(latency.group(1)) / 1000, int(latency.group(2) or 0) / 1000
        self._answer = asyncio.ensure_future(self._slowly(model, wait, gap, stream=stream))

    async def _slowly(self, model: bytes, wait: float, gap: float, *, stream: bool) -> None:
        await asyncio.sleep(wait)
        if not stream:
            self._write(completion(model))
            return
        self._write(STREAM_HEAD)
        for number, chunk in enumerate(events(model)):
            if number:
                await asyncio.sleep(gap)
            self._write(chunk)
        self._write(STREAM_END)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9100, help="0 takes a free one, which is printed")
    uvloop.run(serve(parser.parse_args().port))
