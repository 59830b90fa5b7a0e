"""The machine that a benchmark runs on: its processors, who uses them, and how long."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import Self

import psutil

SERVICE_CPU = 0
"""Where the service runs: its processes and nothing else."""

OTHER_CPU = 1
"""Where everything else runs: load, upstream, PostgreSQL."""

QUIET = 0.15
"""Processors that others may use while something is measured; what was noisier is measured again."""
LOOK = 0.5
"""Seconds."""


def description() -> dict[str, object]:
    """What figures are worth nothing without."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "pinned": can_pin(),
    }


def can_pin() -> bool:
    """Whether the service can have a processor of its own."""
    return hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1


def pin(cpu: int) -> None:
    """Keep this process, and all that it starts from now on, on one processor; where that can be done."""
    if can_pin():
        os.sched_setaffinity(0, {cpu})


@contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """What is started meanwhile stays on that processor; this process goes back to where it was."""
    if not can_pin():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class CpuWatch:
    """CPU seconds of some groups of processes, and of all others on the machine, while the ``with`` block lasts.

    A group is named, and is the trees of some processes: their children count too, those that end included. What is
    not in a group, this process and what it starts for the block excepted, is ``others``: in processors (0.5: half
    of one), because it says how quiet the machine was.
    """

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self._groups = {name: list(pids) for name, pids in groups.items()}
        self.seconds: dict[str, float] = {}
        self.others = 0.0

    def __enter__(self) -> Self:
        self._began = perf_counter()
        self._before = self._used()
        self._busy = _machine_busy() - _own()
        return self

    def __exit__(self, *_: object) -> None:
        busy = _machine_busy() - _own() - self._busy
        self.seconds = {name: used - self._before[name] for name, used in self._used().items()}
        self.others = max(0.0, busy - sum(self.seconds.values())) / (perf_counter() - self._began)

    def _used(self) -> dict[str, float]:
        return {name: sum(map(_tree_seconds, pids)) for name, pids in self._groups.items()}


def settle(patience: float) -> None:
    """Wait until others use little of the machine, at most ``patience`` seconds."""
    gives_up = perf_counter() + patience
    while busy() > QUIET and perf_counter() < gives_up:
        pass


def busy() -> float:
    """How many processors are in use while this process waits for ``LOOK`` seconds."""
    before = _machine_busy()
    sleep(LOOK)
    return (_machine_busy() - before) / LOOK


def _tree_seconds(pid: int) -> float:
    """User and system time, of ended children too."""
    seconds = 0.0
    top = psutil.Process(pid)
    for process in [top, *top.children(recursive=True)]:
        try:
            seconds += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:  # it has just ended: its parent has its time now
            continue
    return seconds


def _machine_busy() -> float:
    times = psutil.cpu_times()
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))


def _own() -> float:
    """This process, and those of its children that have ended."""
    times = os.times()
    return sum(times[:4])


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - one line of a pseudo-file
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
