"""A local model as a child process which is an ordinary OpenAI-compatible provider on loopback."""

import importlib.util
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.local_model.model_file import DEFAULT_MODEL, checked_model_path
from send2llm.infrastructure.processes import ChildProcess, ChildStartError, ChildState, Supervision

_HOST = "127.0.0.1"
_START_TIMEOUT = 120.0
_LOG_TAIL_LINES = 20


class LocalModel:
    """The server of one model, kept running from ``start`` to ``stop``.

    Its address is chosen when it is made and stays, also over restarts. What it prints goes to ``log_file``;
    that holds neither prompts nor answers.
    """

    def __init__(
        self,
        model_file: Path,
        *,
        log_file: Path,
        name: str | None = None,
        slots: int = 4,
        context: int = 4096,
        supervision: Supervision | None = None,
        on_change: Callable[[ChildState], None] = lambda _state: None,
    ) -> None:
        """Prepare to serve ``model_file``; ``slots`` requests at a time, each of at most ``context`` tokens.

        ``name`` is the model's in requests: by default what the file is called.
        Raises ConfigurationError when the file is no model, or the engine is not installed.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise ConfigurationError("The local model needs its engine. Run: pip install 'send2llm[local]'")
        model_file = checked_model_path(model_file)
        self.model_id = name or _name_of(model_file)
        self._port = _free_port()
        self._log_file = log_file
        self._child = ChildProcess(
            "local model",
            [
                *(sys.executable, "-m", "send2llm.infrastructure.local_model.server"),
                *("--model", str(model_file), "--name", self.model_id, "--port", str(self._port)),
                *("--slots", str(slots), "--context", str(context)),
            ],
            healthy=self._is_healthy,
            log_file=log_file,
            supervision=supervision or Supervision(start_timeout=_START_TIMEOUT),
            on_change=on_change,
        )

    @property
    def base_url(self) -> str:
        """The base URL for an OpenAI client."""
        return f"http://{_HOST}:{self._port}/v1"

    @property
    def process(self) -> ChildProcess:
        """The child process, for its state and the number of its restarts."""
        return self._child

    async def start(self) -> None:
        """Start the server and wait until the model is loaded.

        Raises ChildStartError, with the end of the log, when that fails.
        """
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            await self._child.start()
        except ChildStartError as error:
            raise ChildStartError(f"{error} It printed, in {self._log_file}:\n{self._log_tail()}") from error

    async def stop(self) -> None:
        """End the server; harmless when it does not run."""
        await self._child.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _is_healthy(self) -> bool:
        # Its list of models, not only its health: another program might have taken the port meanwhile.
        async with aiohttp.ClientSession() as session, session.get(f"{self.base_url}/models") as response:
            if response.status != 200:
                return False
            listed = await response.json()
        return any(model.get("id") == self.model_id for model in listed.get("data", []))

    def _log_tail(self) -> str:
        try:
            text = self._log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "(nothing)"
        return "\n".join(text.strip().splitlines()[-_LOG_TAIL_LINES:])


def _name_of(model_file: Path) -> str:
    stem = model_file.stem.lower()
    return DEFAULT_MODEL.name if stem.startswith(DEFAULT_MODEL.name) else stem.replace(" ", "-")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
