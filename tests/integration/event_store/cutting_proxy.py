"""A proxy before PostgreSQL that cuts connections at a chosen moment."""

import socket
from enum import Enum, auto
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from send2llm.infrastructure.postgres import ConnectionInfo


class Cut(Enum):
    BEFORE_REQUEST = auto()
    """Drop what the client sends next: the server never hears of it."""
    BEFORE_ANSWER = auto()
    """Drop what the server sends next: it has committed, and the client never hears of it."""


class CuttingProxy:
    """Forwards bytes between clients on loopback and the server's Unix socket, until told to cut."""

    def __init__(self, server: ConnectionInfo) -> None:
        self._server = server
        self._armed: Cut | None = None
        self._lock = Lock()
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads = [Thread(target=self._accept)]

    @property
    def connection_info(self) -> ConnectionInfo:
        port = self._listener.getsockname()[1]
        info = self._server
        return ConnectionInfo(host="127.0.0.1", port=port, dbname=info.dbname, user=info.user, password=info.password)

    def cut(self, moment: Cut) -> None:
        """Cut one connection at that moment, when it comes."""
        self._armed = moment

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for each in self._sockets:
            _end(each)
        for thread in self._threads[1:]:
            thread.join()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(Path(self._server.host) / f".s.PGSQL.{self._server.port}"))
            self._sockets += [client, server]
            for arguments in ((client, server, Cut.BEFORE_REQUEST), (server, client, Cut.BEFORE_ANSWER)):
                thread = Thread(target=self._forward, args=arguments)
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, target: socket.socket, moment: Cut) -> None:
        try:
            while data := source.recv(65536):
                if self._take_cut(moment):
                    break
                target.sendall(data)
        except OSError:
            pass
        _end(source)
        _end(target)

    def _take_cut(self, moment: Cut) -> bool:
        with self._lock:
            if self._armed is not moment:
                return False
            self._armed = None
            self.cuts += 1
            return True


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # ended already
