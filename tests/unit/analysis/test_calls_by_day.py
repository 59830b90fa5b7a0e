"""Tables of calls, told in their order: which, and how far."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from send2llm.application.replay.calls import Selection
from send2llm.infrastructure.analysis.calls_by_day import BLOCK, SCHEMA, CallsByDay

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


class MadeCalls(CallsByDay):
    """So many calls on each day, of two providers in turn; they ended in the opposite order."""

    def __init__(self, *by_day: int) -> None:
        self._by_day = {(MONDAY + timedelta(days=n)).date().isoformat(): calls for n, calls in enumerate(by_day)}
        self.count = sum(by_day)

    def days(self) -> Sequence[str]:
        return list(self._by_day)

    def table(self, day: str) -> Any:
        begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
        rows = [self._row(begin + timedelta(seconds=n), n) for n in reversed(range(self._by_day[day]))]
        return pa.Table.from_pylist(rows, SCHEMA)

    def _row(self, at: datetime, number: int) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(SCHEMA.names, "")
        row |= {name: None for name in SCHEMA.names if name.endswith("_tokens")}
        money = dict.fromkeys(("cost_usd", "failed_attempts_usd", "hold_usd"), Decimal(number))
        return {**row, **money, "requested_at": at, "ended_at": at, "provider": "ab"[number % 2]}


def test_calls_come_in_the_order_in_which_they_began() -> None:
    calls = list(MadeCalls(3, 2).read(Selection()))
    assert [(call.day, call.cost_usd) for call in calls] == [
        ("2026-11-23", 0),
        ("2026-11-23", 1),
        ("2026-11-23", 2),
        ("2026-11-24", 0),
        ("2026-11-24", 1),
    ]


def test_what_begins_at_the_end_of_a_selection_is_outside_and_at_its_beginning_within() -> None:
    """Calls begin each second from midnight."""
    second, last = MONDAY + timedelta(seconds=1), MONDAY + timedelta(seconds=3)
    calls = list(MadeCalls(5).read(Selection(since=second, until=last)))
    assert [call.cost_usd for call in calls] == [1, 2]


def progress(calls: CallsByDay, selection: Selection) -> list[int]:
    told: list[int] = []

    def tell(done: int, of: int) -> None:
        assert of == calls.count
        told.append(done)

    list(calls.read(selection, tell))
    return told


@pytest.mark.parametrize(
    "selection",
    [Selection(), Selection(provider="a"), Selection(provider="c"), Selection(since=MONDAY.replace(day=24))],
)
def test_progress_reaches_the_end_whatever_is_selected(selection: Selection) -> None:
    told = progress(MadeCalls(3 * BLOCK, 10), selection)
    assert told == sorted(told)
    assert told[-1] == 3 * BLOCK + 10


def test_progress_is_told_often_enough_for_a_rate() -> None:
    told = progress(MadeCalls(3 * BLOCK, 10), Selection())
    assert max(after - before for before, after in pairwise([0, *told])) <= BLOCK < 5_000
