"""Fake providers on the wire: ASGI apps that speak a provider's format, and misbehave on request.

``FakeProviderServer`` has what they share; one subclass for each format knows its paths and what to say without a
script::

    server = FakeOpenAIServer()
    async with running(server) as base_url:
        server.script(StreamReply([...]), Reply(b"...", status=429, headers={"retry-after": "2"}))
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


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it came; header names are in lower case, ``raw_path`` is the path before it was unescaped."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    raw_path: bytes = b""

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
    def json(cls, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> "Reply":
        """A reply with a JSON body."""
        return cls(json.dumps(body).encode(), status, headers or {})


@dataclass(frozen=True, slots=True)
class StreamReply:
    """A stream: ``pieces`` are written one by one, an event among them is waited for.

    ``cut`` breaks the connection after them, without the end of the body.
    """

    pieces: Sequence[bytes | asyncio.Event]
    cut: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "text/event-stream"


Behaviour = Reply | StreamReply


class _Cut(Exception):
    """Leaves a reply unfinished."""


class FakeProviderServer:
    """Gives the scripted behaviours in turn to requests for answers; the rest is for its subclass to say.

    The ``requests`` are kept; ``disconnected`` is set when a client leaves before the end of its answer.
    """

    def __init__(self, *behaviours: Behaviour) -> None:
        self.requests: list[RecordedRequest] = []
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

    def at_once(self, request: RecordedRequest) -> Reply | None:
        """The reply to a request that no script is for: the list of models, a wrong path; ``None`` for all others."""
        raise NotImplementedError

    def usual(self, request: RecordedRequest) -> Behaviour:
        """What is answered without a script."""
        raise NotImplementedError

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI app."""
        request = await _read(scope, receive)
        self.requests.append(request)
        async with self._arrived:
            self._arrived.notify_all()
        at_once = self.at_once(request)
        if at_once is not None:
            await _reply(at_once, send)
        else:
            await self._watched(self._script.popleft() if self._script else self.usual(request), receive, send)

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
    headers = {"content-type": behaviour.content_type, **behaviour.headers}
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
    query, raw_path = scope["query_string"].decode(), scope.get("raw_path") or b""
    return RecordedRequest(scope["method"], scope["path"], query, headers, body, raw_path)


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


def _uvicorn(app: FakeProviderServer) -> _Uvicorn:
    config = uvicorn.Config(
        app, lifespan="off", ws="none", access_log=False, log_config=None, timeout_graceful_shutdown=1
    )
    return _Uvicorn(config)


@contextlib.asynccontextmanager
async def running(app: FakeProviderServer, path: str = "/v1") -> AsyncIterator[str]:
    """Run it on a free loopback port, on the loop of the test; gives its address, with ``path`` behind it."""
    server = _uvicorn(app)
    with _listener() as listener:
        await server.begin(listener)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
        finally:
            await server.end()


def _listener() -> socket.socket:
    """A listening socket that knows that it speaks TCP; without that asyncio leaves Nagle's delay on."""
    return socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())


@contextlib.contextmanager
def running_in_thread(app: FakeProviderServer, path: str = "/v1") -> Iterator[str]:
    """As ``running``, for tests without a loop. Gates cannot be used: they belong to one loop."""
    server = _uvicorn(app)
    with _listener() as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fake-provider")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
        finally:
            server.should_exit = True
            thread.join()
