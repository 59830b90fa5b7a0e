"""Which events had happened by a moment: found in a log whose positions have gaps and whose clocks disagree."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.application.moments import Moments
from send2llm.domain.conversation_events import ConversationStarted
from send2llm.domain.errors import InvalidRequest
from send2llm.testing.clock import START, FakeClock

NOBODY = UUID(int=0)


class ListedFeed:
    """An ``EventFeed`` of events at these positions and seconds after ``START``."""

    def __init__(self, events: Sequence[tuple[int, float]]) -> None:
        self._events = [
            RecordedEvent(
                position,
                "conversation-x",
                1,
                "conversation.started",
                ConversationStarted(),
                Metadata(NOBODY, START + timedelta(seconds=seconds), NOBODY, None, "tester", "default"),
            )
            for position, seconds in events
        ]

    async def read(self, after: int, limit: int) -> Sequence[RecordedEvent]:
        return [event for event in self._events if event.position > after][:limit]

    async def head(self) -> int:
        return self._events[-1].position if self._events else 0


def moments(*events: tuple[int, float], now: float = 3600) -> Moments:
    clock = FakeClock()
    clock.advance(now)
    return Moments(ListedFeed(events), clock)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


TWO_CLOCKS = ((2, 0), (3, 10), (7, 40), (8, 20), (9, 30), (12, 60))
"""Whoever stored 7 is ahead by half a minute."""


@pytest.mark.parametrize(
    ("seconds", "position"),
    [(-1, 0), (0, 2), (9, 2), (10, 3), (19, 3), (20, 8), (30, 9), (40, 9), (59, 9), (60, 12), (3600, 12)],
)
async def test_a_time_is_the_last_event_up_to_it_with_all_before(seconds: float, position: int) -> None:
    found = await moments(*TWO_CLOCKS).time(at(seconds))
    assert (found.position, found.time) == (position, at(seconds))


@pytest.mark.parametrize(
    ("asked", "position", "seconds"), [(2, 2, 0), (5, 3, 10), (6, 3, 10), (7, 7, 40), (11, 9, 30), (12, 12, 60)]
)
async def test_a_position_in_a_gap_is_the_one_before(asked: int, position: int, seconds: float) -> None:
    found = await moments(*TWO_CLOCKS).position(asked)
    assert (found.position, found.time) == (position, at(seconds))


async def test_before_the_first_event_there_is_nothing_to_report() -> None:
    for found in (
        await moments(*TWO_CLOCKS).position(1),
        await moments(*TWO_CLOCKS).position(0),
        await moments(*TWO_CLOCKS).time(at(-1)),
        await moments().position(0),
        await moments().time(at(0)),
    ):
        assert found.position == 0
        with pytest.raises(InvalidRequest, match="Nothing had happened"):
            found.require_events()


async def test_what_has_not_come_yet() -> None:
    known = moments(*TWO_CLOCKS, now=100)
    with pytest.raises(InvalidRequest, match="ends at position 12"):
        await known.position(13)
    with pytest.raises(InvalidRequest, match="future"):
        await known.time(at(100) + timedelta(microseconds=1))
    assert (await known.time(at(100))).position == 12


async def test_an_event_that_is_late_is_found_behind_many_that_happened_since() -> None:
    """More than are looked at in one go; and what is later than a minute ends the search."""
    later = [(position, 59.0) for position in range(2, 1502)]
    assert (await moments((1, 0), *later, (1502, 0)).time(at(0))).position == 1502
    too_late = [(position, 61.0) for position in range(2, 1502)]
    assert (await moments((1, 0), *too_late, (1502, 0)).time(at(0))).position == 1


@given(
    steps=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 90), st.integers(0, 60)), max_size=40),
    asked=st.integers(-10, 2000),
)
async def test_any_log_whose_events_are_late_by_no_more_than_that(
    steps: list[tuple[int, int, int]], asked: int
) -> None:
    events, position, stored = [], 0, 0
    for gap, pause, late in steps:
        position, stored = position + gap, stored + pause
        events.append((position, stored - late))
    expected = max((position for position, seconds in events if seconds <= asked), default=0)
    assert (await moments(*events).time(at(asked))).position == expected
