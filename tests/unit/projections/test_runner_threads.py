"""Threads of runners: one for each build that is worked on, forgotten when it has come to its end."""

import threading
from collections.abc import Iterator

import pytest

from send2llm.infrastructure.projections.checkpoints import BuildKey
from send2llm.infrastructure.projections.runner_threads import RunnerThreads
from send2llm.testing.eventually import eventually

REBUILDS = [BuildKey("history", 1, number, "elsewhere") for number in range(2, 30)]
LIVE = BuildKey("history", 1)


class Waiting:
    """Works until it is woken: a build that comes to its end with the next event."""

    def __init__(self, alarm: threading.Event) -> None:
        self._alarm = alarm

    def run(self, stop: threading.Event) -> None:
        del stop
        self._alarm.wait()


@pytest.fixture
def begun() -> list[BuildKey]:
    return []


@pytest.fixture
def threads(begun: list[BuildKey]) -> Iterator[RunnerThreads]:
    def make(key: BuildKey, alarm: threading.Event) -> Waiting:
        begun.append(key)
        return Waiting(alarm)

    threads = RunnerThreads(make, threading.Event())
    yield threads
    threads.end()


def test_a_build_has_one_thread_until_it_ends(threads: RunnerThreads, begun: list[BuildKey]) -> None:
    threads.keep([LIVE])
    threads.keep([LIVE])
    assert begun == [LIVE]


def test_builds_that_have_come_to_their_end_leave_nothing_behind(threads: RunnerThreads) -> None:
    for rebuild in REBUILDS:
        threads.keep([rebuild])
        assert len(threads) == 1
        threads.wake()
        eventually(lambda: _none_left(threads))


def test_what_ended_too_early_is_begun_again(threads: RunnerThreads, begun: list[BuildKey]) -> None:
    threads.keep([LIVE])
    threads.wake()
    eventually(lambda: _none_left(threads))
    threads.keep([LIVE])
    assert begun == [LIVE, LIVE]


def test_one_that_cannot_be_begun_keeps_no_other_from_it(begun: list[BuildKey]) -> None:
    tries = iter([RuntimeError("can't start new thread")])

    def make(key: BuildKey, alarm: threading.Event) -> Waiting:
        for error in tries:
            raise error
        begun.append(key)
        return Waiting(alarm)

    threads = RunnerThreads(make, threading.Event())
    try:
        threads.keep([LIVE, REBUILDS[0]])
        assert begun == [REBUILDS[0]]
        threads.keep([LIVE, REBUILDS[0]])
        assert begun == [REBUILDS[0], LIVE]
    finally:
        threads.end()


def _none_left(threads: RunnerThreads) -> bool:
    threads.keep([])
    return len(threads) == 0
