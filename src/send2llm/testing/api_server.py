"""Serves the fake of the own API over real sockets."""

import asyncio
import socket
import threading
from types import TracebackType
from typing import Any, Self

import uvicorn

from send2llm.testing.api import FakeApi


class FakeApiServer:
    """Serves a ``FakeApi`` on loopback, and can go down and come up again at the same address."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens, or did."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Come up."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen()  # who calls before the loop runs waits in the queue
        self._port = listener.getsockname()[1]
        # The application is asked for anew with every request: a test may put another state behind the server.
        config = uvicorn.Config(
            self._application, log_config=None, log_level="critical", lifespan="off", ws="none", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(self._server, listener), name="fake-api")
        self._thread.start()

    def stop(self) -> None:
        """Go down as a killed process does: connections break, calls end nowhere."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True  # else it waits for callers that keep their connections
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._break_connections, self._server)
        self._thread.join()
        self._server = self._thread = self._loop = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await self.api.application(scope, receive, send)

    def _run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await server.serve(sockets=[listener])

        asyncio.run(serve())

    @staticmethod
    def _break_connections(server: uvicorn.Server) -> None:
        for listening in getattr(server, "servers", ()):  # set once it has started
            listening.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
