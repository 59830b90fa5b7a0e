"""A real NATS server with JetStream, which can be killed and started again on the same files."""

import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from send2llm.testing.eventually import eventually

BINARY = Path(sys.executable).with_name("nats-server")


class NatsServer:
    """Listens on a port of its own on loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Run; returns when it can be connected to."""
        command = [BINARY, "-js", "-sd", self._folder, "-a", "127.0.0.1", "-p", str(self._port), "-l"]
        self._process = subprocess.Popen([*command, self._folder / "log"])
        eventually(self._listens)

    def kill(self) -> None:
        """As ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
