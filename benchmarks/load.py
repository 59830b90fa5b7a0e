"""A closed loop of chat completions over raw sockets: next to no work for each, so that the gateway is measured.

Each connection sends its next request when the last is answered, and every answer is checked: status 200 and the
whole text; of a stream all its events and the end mark. Prints one JSON object.

Run: ``python benchmarks/load.py http://127.0.0.1:8484/v1/chat/completions --model instant --connections 32``
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop

from upstream import CHUNKS, WORDS

PATIENCE = 30.0
"""Seconds for the last answers, after the end of the measurement."""

SYSTEM_PROMPT = "You are a careful assistant. Answer briefly. " * 20
STREAM_END = b"\r\n0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def request_bytes(url: str, body: bytes, key: str, headers: Sequence[str] = ()) -> bytes:
    """A whole HTTP request."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"host: {parts.netloc}",
        "content-type: application/json",
        f"authorization: Bearer {key}",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chat_body(model: str, *, stream: bool) -> bytes:
    """About a kilobyte, as an application would send it."""
    body: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": SYSTEM_PROMPT.strip()},
            {"role": "user", "content": "Tell me about foxes."},
        ],
        "temperature": 0.2,
        "max_tokens": 200,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return orjson.dumps(body)


@dataclass(slots=True)
class Tally:
    """What all connections have seen; times in seconds."""

    ends: float
    times: list[float] = field(default_factory=list)
    first_events: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""

    def wrong(self, why: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or why


class Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, request: bytes, tally: Tally, *, stream: bool) -> None:
        self._request = request
        self._tally = tally
        self._stream = stream
        self._received = bytearray()
        self._sent = 0.0
        self._first = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._tally.wrong(f"the connection was lost: {exc}")
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._stream:
            if not self._first and b"data: " in self._received:
                self._first = perf_counter()
            # An error comes with a length and no chunks.
            whole = self._received.endswith(STREAM_END) or (
                not self._received.startswith(b"HTTP/1.1 200") and self._has_all()
            )
        else:
            whole = self._has_all()
        if whole:
            self._answered()

    def _has_all(self) -> bool:
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        at = self._received.lower().find(b"\r\ncontent-length:", 0, head_end)
        length = int(self._received[at + 17 : self._received.find(b"\r\n", at + 17)])
        return len(self._received) >= head_end + 4 + length

    def _answered(self) -> None:
        now = perf_counter()
        answer, self._received = self._received, bytearray()
        why = (_wrong_stream if self._stream else _wrong_answer)(answer)
        if why:
            self._tally.wrong(f"{why}: {bytes(answer[:300])!r}")
        else:
            self._tally.times.append(now - self._sent)
            if self._stream:
                self._tally.first_events.append(self._first - self._sent)
        if now < self._tally.ends:
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        self._first = 0.0
        self._sent = perf_counter()
        self._transport.write(self._request)


def _wrong_answer(answer: bytearray) -> str:
    if not answer.startswith(b"HTTP/1.1 200"):
        return "not a 200"
    return "" if b"".join(WORD_BYTES) in answer else "not the whole text"


def _wrong_stream(answer: bytearray) -> str:
    if not answer.startswith(b"HTTP/1.1 200"):
        return "not a 200"
    if answer.count(b"data: {") < CHUNKS + 2:  # the finish reason and the usage have events of their own
        return "events are missing"
    return "" if DONE in answer else "no end mark"


WORD_BYTES = [word.encode() for word in WORDS]


async def load(url: str, request: bytes, connections: int, seconds: float, *, stream: bool) -> dict[str, object]:
    """Run the loop; the result's times are in milliseconds."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    began, worked = perf_counter(), process_time()
    tally = Tally(ends=began + seconds)
    callers = [
        (await loop.create_connection(lambda: Caller(request, tally, stream=stream), parts.hostname, parts.port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + PATIENCE):
        await asyncio.gather(*(caller.done for caller in callers))
    took = perf_counter() - began
    return {
        "calls": len(tally.times),
        "errors": tally.errors,
        "first_error": tally.first_error,
        "seconds": took,
        "calls_per_second": len(tally.times) / took,
        "cpu_seconds": process_time() - worked,
        **{f"p{share}_ms": percentile(tally.times, share) for share in (50, 95, 99)},
        "first_event_p50_ms": percentile(tally.first_events, 50),
        "max_ms": max(tally.times, default=0.0) * 1000,
    }


def percentile(times: list[float], share: int) -> float | None:
    """In milliseconds."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000 if ordered else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--model", default="instant", help="see upstream.py")
    parser.add_argument("--key", default="none")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--stream", action="store_true")
    given = parser.parse_args()
    request = request_bytes(given.url, chat_body(given.model, stream=given.stream), given.key)
    result = uvloop.run(load(given.url, request, given.connections, given.seconds, stream=given.stream))
    sys.stdout.buffer.write(orjson.dumps(result) + b"\n")


if __name__ == "__main__":
    main()
