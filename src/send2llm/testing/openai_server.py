"""A fake provider on the wire: an ASGI app that speaks OpenAI's format, and misbehaves on request.

::

    server = FakeOpenAIServer()
    async with running(server) as base_url:
        server.script(StreamReply.of("Hello there"), ErrorReply(429, {"retry-after": "2"}))
        ...
        assert server.requests[0].json["model"] == "m"
"""

import asyncio
import contextlib
import json
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn

Body = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DONE = b"data: [DONE]\n\n"
USAGE: Body = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
CREATED = 1_700_000_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it came; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, given when the ``gate`` (if any) is open."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    gate: asyncio.Event | None = None

    @classmethod
    def of(
        cls,
        text: str | None = "Hello!",
        *,
        usage: Body | None = USAGE,
        gate: asyncio.Event | None = None,
        **message: Any,
    ) -> "Reply":
        """A reply that says ``text``; ``message`` are further fields of it, such as ``tool_calls``."""
        return cls(json.dumps(completion(text, usage=usage, **message)).encode(), gate=gate)


def ErrorReply(  # noqa: N802 - reads as a kind of reply
    status: int, headers: dict[str, str] | None = None, *, message: str = "no", **error: Any
) -> Reply:
    """A reply with an error as OpenAI sends it; ``error`` are further fields of it, such as ``code``."""
    body = {"error": {"message": message, "type": None, "param": None, "code": None, **error}}
    return Reply(json.dumps(body).encode(), status, headers or {})


@dataclass(frozen=True, slots=True)
class StreamReply:
    """A stream: ``pieces`` are written one by one, an event among them is waited for.

    ``cut`` breaks the connection after them, without the end of the body.
    """

    pieces: Sequence[bytes | asyncio.Event]
    cut: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str = "Hello!", *, usage: Body | None = USAGE, done: bool = True) -> "StreamReply":
        """A stream that says ``text`` word by word."""
        chunks = [event(chunk) for chunk in completion_chunks(text, usage=usage)]
        return cls([*chunks, DONE] if done else chunks)


Behaviour = Reply | StreamReply


def completion(text: str | None, *, usage: Body | None = USAGE, finish_reason: str = "stop", **message: Any) -> Body:
    """The body of a whole reply."""
    said = {"role": "assistant", "content": text, "refusal": None, **message}
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": CREATED,
        "model": "fake-model-1",
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish_reason}],
    }
    return body if usage is None else {**body, "usage": usage}


def chunk(finish_reason: str | None = None, *, index: int = 0, **delta: Any) -> Body:
    """The body of one event of a stream."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "fake-model-1",
        "choices": [choice],
    }


def completion_chunks(text: str, *, usage: Body | None = USAGE) -> list[Body]:
    """The events of a whole answer: the role, word by word, the finish reason and the usage."""
    words = text.split(" ")
    pieces = [words[0], *(f" {word}" for word in words[1:])]
    chunks = [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces), chunk("stop")]
    return chunks if usage is None else [*chunks, {**chunk(), "choices": [], "usage": usage}]


def event(body: Body) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


class _Cut(Exception):
    """Leaves a reply unfinished."""


class FakeOpenAIServer:
    """Answers ``POST .../chat/completions`` with the scripted behaviours in turn, and ``GET .../models``.

    Without a script it says "Hello!", streamed or not as asked. The ``requests`` are kept; ``disconnected`` is set
    when a client leaves before the end of its answer.
    """

    def __init__(self, *behaviours: Behaviour, models: Sequence[str] = ("fake-model-1",)) -> None:
        self.requests: list[RecordedRequest] = []
        self.models = models
        self.disconnected = asyncio.Event()
        self._script = deque(behaviours)
        self._arrived = asyncio.Condition()

    def script(self, *behaviours: Behaviour) -> None:
        """Forget the script so far; follow this one from the next request on."""
        self._script = deque(behaviours)

    async def arrived(self, times: int = 1) -> None:
        """Wait for that many requests in all."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= times)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI app."""
        request = await _read(scope, receive)
        self.requests.append(request)
        async with self._arrived:
            self._arrived.notify_all()
        if request.path.endswith("/models"):
            listed = [{"id": model, "object": "model", "created": CREATED, "owned_by": "fake"} for model in self.models]
            await _reply(Reply(json.dumps({"object": "list", "data": listed}).encode()), send)
        elif request.path.endswith("/chat/completions"):
            await self._watched(self._behaviour(request), receive, send)
        else:
            await _reply(ErrorReply(404, message=f"Unknown request URL: {request.method} {request.path}"), send)

    def _behaviour(self, request: RecordedRequest) -> Behaviour:
        if self._script:
            return self._script.popleft()
        body = request.json
        if not body.get("stream"):
            return Reply.of()
        wants_usage = (body.get("stream_options") or {}).get("include_usage")
        return StreamReply.of(usage=USAGE if wants_usage else None)

    async def _watched(self, behaviour: Behaviour, receive: Receive, send: Send) -> None:
        """Behave, until the client leaves."""
        behave = asyncio.ensure_future(_behave(behaviour, send))
        leave = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({behave, leave}, return_when=asyncio.FIRST_COMPLETED)
            if not behave.done():
                self.disconnected.set()
                return
            await behave
        finally:
            for task in (behave, leave):
                task.cancel()
            await asyncio.gather(behave, leave, return_exceptions=True)


async def _behave(behaviour: Behaviour, send: Send) -> None:
    if isinstance(behaviour, Reply):
        await _reply(behaviour, send)
        return
    headers = {"content-type": "text/event-stream", **behaviour.headers}
    await send({"type": "http.response.start", "status": 200, "headers": _encoded(headers)})
    for piece in behaviour.pieces:
        if isinstance(piece, asyncio.Event):
            await piece.wait()
        else:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    if behaviour.cut:
        raise _Cut
    await send({"type": "http.response.body", "body": b""})


async def _reply(reply: Reply, send: Send) -> None:
    if reply.gate is not None:
        await reply.gate.wait()
    headers = {"content-type": reply.content_type, "content-length": str(len(reply.body)), **reply.headers}
    await send({"type": "http.response.start", "status": reply.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": reply.body})


async def _read(scope: MutableMapping[str, Any], receive: Receive) -> RecordedRequest:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return RecordedRequest(scope["method"], scope["path"], scope["query_string"].decode(), headers, body)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


class _Uvicorn(uvicorn.Server):
    """Begins and ends without the waits that ``serve`` has, which hundreds of tests would add up."""

    async def begin(self, listener: socket.socket) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])

    async def end(self) -> None:
        for listening in self.servers:
            listening.close()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets them notice


def _uvicorn(app: FakeOpenAIServer) -> _Uvicorn:
    config = uvicorn.Config(
        app, lifespan="off", ws="none", access_log=False, log_config=None, timeout_graceful_shutdown=1
    )
    return _Uvicorn(config)


@contextlib.asynccontextmanager
async def running(app: FakeOpenAIServer) -> AsyncIterator[str]:
    """Run it on a free loopback port, on the loop of the test; gives the ``base_url`` for an SDK."""
    server = _uvicorn(app)
    with _listener() as listener:
        await server.begin(listener)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            await server.end()


def _listener() -> socket.socket:
    """A listening socket that knows that it speaks TCP; without that asyncio leaves Nagle's delay on."""
    return socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())


@contextlib.contextmanager
def running_in_thread(app: FakeOpenAIServer) -> Iterator[str]:
    """As ``running``, for tests without a loop. Gates cannot be used: they belong to one loop."""
    server = _uvicorn(app)
    with _listener() as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fake-openai")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()
