"""Child processes that are kept running, and never outlive their parent.

The parent holds one end of a pipe, the lifeline, for each child. The operating system closes it when the
parent is gone, however it went, and the child, which called ``end_with_parent`` early, ends.
(Linux could send a signal instead, but it goes by the parent's *thread*, and other systems cannot.)
"""

import asyncio
import contextlib
import enum
import math
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from send2llm.domain.errors import Send2LLMError

_LIFELINE_VARIABLE = "_SEND2LLM_LIFELINE"  # the underscore: it is no setting

_log = structlog.get_logger(__name__)


class ChildStartError(Send2LLMError):
    """A child process ended, or was not healthy in time, when it was first started."""

    code = "child_start_failed"


class ChildState(enum.Enum):
    """What a child process is doing, as its parent sees it."""

    STARTING = "starting"
    HEALTHY = "healthy"
    FAILED = "failed"
    """It died or turned unhealthy; it is started again after a delay."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Supervision:
    """How a child process is watched and restarted. All times are seconds."""

    start_timeout: float = 60.0
    """A child that is not healthy by then counts as failed."""
    start_poll: float = 0.1
    """Between two checks of a child that is starting."""
    check_interval: float = 5.0
    """Between two checks of a healthy child."""
    check_timeout: float = 5.0
    """A check that takes longer has failed."""
    tolerated_failures: int = 2
    """So many failed checks in a row are forgiven; the next means that the child is unhealthy."""
    first_delay: float = 0.5
    """Before the first restart; each further one waits twice as long."""
    longest_delay: float = 30.0
    """No restart waits longer."""
    steady_after: float = 60.0
    """A child that was healthy for so long starts with ``first_delay`` again."""
    stop_grace: float = 10.0
    """Between the polite SIGTERM and SIGKILL."""


class ChildProcess:
    """A program that is started, watched, restarted when it dies or turns unhealthy, and ended.

    ``healthy`` is asked again and again; False, an exception or no answer in time is a failed check.
    The program runs in a session of its own: Ctrl-C reaches the parent only, which ends it in good order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        healthy: Callable[[], Awaitable[bool]],
        environment: Mapping[str, str] | None = None,
        log_file: Path | None = None,
        pass_fds: Sequence[int] = (),
        supervision: Supervision | None = None,
        on_change: Callable[[ChildState], None] = lambda _state: None,
        on_end: Callable[[int], None] = lambda _pid: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Describe the child; nothing runs yet.

        ``environment`` is added to the parent's own. ``log_file`` is overwritten at each start with what the
        child prints; without it the child writes to the parent's streams. ``pass_fds`` are descriptors that
        the child gets under their own numbers, such as a listening socket. ``on_end`` hears the process id of
        each process that has ended. ``sleep`` waits between restarts.
        """
        self.name = name
        self.restarts = 0
        self._command = list(command)
        self._healthy = healthy
        self._environment = environment or {}
        self._log_file = log_file
        self._pass_fds = tuple(pass_fds)
        self._supervision = supervision or Supervision()
        self._on_change = on_change
        self._on_end = on_end
        self._sleep = sleep
        self._state = ChildState.STOPPED
        self._healthy_since = math.inf
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def state(self) -> ChildState:
        """What the child is doing now."""
        return self._state

    @property
    def pid(self) -> int | None:
        """The process id while a process runs."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the child and wait until it is healthy; from then on it is restarted when it fails.

        Raises ChildStartError when the first start fails: that is a mistake in the set-up, not bad luck.
        """
        if self._supervisor is not None:
            raise RuntimeError(f"the child process {self.name!r} was started already")
        healthy: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(healthy), name=f"supervise {self.name}")
        try:
            await asyncio.wait([healthy, self._supervisor], return_when=asyncio.FIRST_COMPLETED)
            if self._supervisor.done():
                await self._supervisor  # raises what went wrong
        except BaseException:  # also when it is cancelled: no child stays behind
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the child: politely, then by force. Harmless when it does not run."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait([supervisor])
        self._change(ChildState.STOPPED)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _supervise(self, first_health: asyncio.Future[None]) -> None:
        delay = self._supervision.first_delay
        while True:
            self._change(ChildState.STARTING)
            self._healthy_since = math.inf
            failure = await self._run_until_failure(first_health)
            self._change(ChildState.FAILED)
            if not first_health.done():
                raise ChildStartError(f"The {self.name} did not start: {failure}.")
            if time.monotonic() - self._healthy_since >= self._supervision.steady_after:
                delay = self._supervision.first_delay
            _log.warning("child_process.failed", child=self.name, reason=failure, restart_in_seconds=delay)
            await self._sleep(delay)
            delay = min(delay * 2, self._supervision.longest_delay)
            self.restarts += 1

    async def _run_until_failure(self, first_health: asyncio.Future[None]) -> str:
        """Run the program once. However this is left, the program has ended afterwards, or is about to."""
        child_end, parent_end = os.pipe()
        try:
            try:
                self._process = process = await self._spawn(child_end)
            except OSError as error:
                return f"{error.filename or self._command[0]}: {error.strerror}"
            finally:
                os.close(child_end)
            try:
                return await self._watch(process, first_health)
            finally:
                await self._end(process)
                self._on_end(process.pid)
                self._process = None
        finally:
            os.close(parent_end)

    async def _spawn(self, lifeline: int) -> asyncio.subprocess.Process:
        with contextlib.ExitStack() as files:
            log = None if self._log_file is None else files.enter_context(self._log_file.open("wb"))
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment, _LIFELINE_VARIABLE: str(lifeline)},
                pass_fds=[lifeline, *self._pass_fds],
                start_new_session=True,
            )

    async def _watch(self, process: asyncio.subprocess.Process, first_health: asyncio.Future[None]) -> str:
        """Return why the child must be replaced."""
        deadline = time.monotonic() + self._supervision.start_timeout
        while not await self._is_healthy():
            if time.monotonic() > deadline:
                return f"it was not healthy within {self._supervision.start_timeout:g} seconds"
            if await _ended_within(process, self._supervision.start_poll):
                return _describe_end(process)
        self._healthy_since = time.monotonic()
        self._change(ChildState.HEALTHY)
        if not first_health.done():
            first_health.set_result(None)
        failures = 0
        while failures <= self._supervision.tolerated_failures:
            if await _ended_within(process, self._supervision.check_interval):
                return _describe_end(process)
            failures = 0 if await self._is_healthy() else failures + 1
        return f"{failures} health checks in a row failed"

    async def _is_healthy(self) -> bool:
        try:
            async with asyncio.timeout(self._supervision.check_timeout):
                return await self._healthy()
        except Exception:  # noqa: BLE001 - whatever the check raises, it did not find the child healthy
            return False

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        if not await _ended_within(process, self._supervision.stop_grace):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _change(self, state: ChildState) -> None:
        if state is not self._state:
            self._state = state
            self._on_change(state)


async def _ended_within(process: asyncio.subprocess.Process, seconds: float) -> bool:
    # Not asyncio.timeout: in the clean-up of a cancelled task, Python 3.11.2's raises CancelledError.
    waiting = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait([waiting], timeout=seconds)
    finally:
        waiting.cancel()
    return process.returncode is not None


def _describe_end(process: asyncio.subprocess.Process) -> str:
    status = process.returncode or 0
    if status < 0:
        return f"it was ended by signal {-status} ({signal.strsignal(-status)})"
    return f"it ended with status {status}"


def end_with_parent(grace: float = 10.0) -> None:
    """End this process when the ``ChildProcess`` that started it is gone; a program calls this early.

    It then gets SIGTERM, as if from outside, and after ``grace`` seconds it ends in any case.
    In a program that was not started by a ``ChildProcess`` this does nothing.
    """
    # Taken out, because this process's own children do not have the pipe.
    lifeline = os.environ.pop(_LIFELINE_VARIABLE, None)
    if lifeline is None:
        return
    os.set_inheritable(int(lifeline), False)
    threading.Thread(target=_await_parents_end, args=(int(lifeline), grace), name="lifeline", daemon=True).start()


def _await_parents_end(lifeline: int, grace: float) -> None:
    os.read(lifeline, 1)  # nobody writes: it returns when the parent's end is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)  # whatever still runs had its time
