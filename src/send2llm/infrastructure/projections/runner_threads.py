"""The threads that runners work in, each with the alarm that wakes its runner."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from send2llm.infrastructure.projections.checkpoints import BuildKey
from send2llm.infrastructure.projections.failures import reason_of

log = structlog.get_logger(__name__)


class Runner(Protocol):
    """Works on one build until it is told to stop, or until the build has come to its end."""

    def run(self, stop: threading.Event) -> None:
        """Block meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class _AtWork:
    thread: threading.Thread
    alarm: threading.Event


class RunnerThreads:
    """One for each build that is worked on. Only ``wake`` may be called from other threads."""

    def __init__(self, make: Callable[[BuildKey, threading.Event], Runner], stop: threading.Event) -> None:
        self._make = make
        self._stop = stop
        self._at_work: dict[BuildKey, _AtWork] = {}

    def __len__(self) -> int:
        return len(self._at_work)

    def keep(self, wanted: Iterable[BuildKey]) -> None:
        """Begin with those that nobody works on; those that have come to their end are forgotten."""
        for key in [key for key, one in self._at_work.items() if not one.thread.is_alive()]:
            del self._at_work[key]
        for key in wanted:
            if key not in self._at_work:
                try:
                    self._at_work[key] = self._begin(key)
                except Exception as error:  # noqa: BLE001 - a supervisor: the others must be begun all the same
                    log.warning("projection.not_begun", projection=key.name, build=key.build, reason=reason_of(error))

    def _begin(self, key: BuildKey) -> _AtWork:
        alarm = threading.Event()
        runner = self._make(key, alarm)
        thread = threading.Thread(target=runner.run, args=(self._stop,), name=f"projection-{key.name}")
        thread.start()
        return _AtWork(thread, alarm)

    def wake(self) -> None:
        """Let all of them look for new events."""
        for one in tuple(self._at_work.values()):  # in one step: another thread may begin one
            one.alarm.set()

    def end(self) -> None:
        """Wake them after ``stop`` was set, and wait until all have ended."""
        self.wake()
        for one in self._at_work.values():
            one.thread.join()
