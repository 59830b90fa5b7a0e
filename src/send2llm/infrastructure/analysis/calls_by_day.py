"""Tables of calls, told as calls in the order in which they began, a day at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from send2llm.application.replay.calls import Call, Selection
from send2llm.domain.completion import Usage
from send2llm.infrastructure.analysis import schemas
from send2llm.infrastructure.analysis.call_rows import USAGE

COLUMNS = (
    "requested_at",
    "ended_at",
    "tenant",
    "actor",
    "provider",
    "model",
    "status",
    *USAGE,
    "cost_usd",
    "failed_attempts_usd",
    "hold_usd",
    "assumed",
    "price_version",
    "request_digest",
)
SCHEMA = pa.schema([schemas.CALLS.field(name) for name in COLUMNS])
"""What replays need of a call."""

BLOCK = 2_000
"""Calls between two words about the progress: a tenth of a second, so that a rate is seen soon."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Told = Callable[[int, int], None]
"""Hears how many calls were looked at, of how many."""


class CallsByDay(ABC):
    """Recorded calls, wherever their tables are; they may be read again and again. ``count`` is how many there are."""

    count: int

    @abstractmethod
    def days(self) -> Sequence[str]:
        """The days on which calls began, in UTC and in their order."""

    @abstractmethod
    def table(self, day: str) -> pa.Table:
        """The calls of a day, with the columns of ``SCHEMA``, in the order in which they ended."""

    def read(self, selection: Selection, told: Told = lambda _done, _all: None) -> Iterator[Call]:
        """The selected calls in the order in which they began."""
        seen = 0
        for day in self.days():
            if _is_outside(date.fromisoformat(day), selection):
                continue
            whole = self.table(day)
            table = _selected(whole, selection).sort_by("requested_at")
            seen += whole.num_rows - table.num_rows
            for block in table.to_batches(max_chunksize=BLOCK):
                yield from _calls(day, block)
                seen += block.num_rows
                told(min(seen, self.count), self.count)
        told(self.count, self.count)


def _is_outside(day: date, selection: Selection) -> bool:
    since, until = selection.since, selection.until
    return (since is not None and day < since.astimezone(UTC).date()) or (
        until is not None and day > until.astimezone(UTC).date()
    )


def _selected(table: Any, selection: Selection) -> Any:
    for name in ("provider", "model", "tenant", "actor"):
        wanted = getattr(selection, name)
        if wanted is not None:
            table = table.filter(pc.equal(table[name], wanted))
    if selection.since is not None:
        table = table.filter(pc.greater_equal(table["requested_at"], pa.scalar(selection.since, schemas.MOMENT)))
    if selection.until is not None:
        table = table.filter(pc.less(table["requested_at"], pa.scalar(selection.until, schemas.MOMENT)))
    return table


def _calls(day: str, block: Any) -> Iterator[Call]:
    columns = dict(zip(COLUMNS, block.columns, strict=True))
    usages = zip(*(columns[name].to_pylist() for name in USAGE), strict=True)
    for (
        requested,
        ended,
        tenant,
        actor,
        provider,
        model,
        status,
        usage,
        cost,
        failed,
        hold,
        assumed,
        price,
        digest,
    ) in zip(
        _moments(columns["requested_at"]),
        _moments(columns["ended_at"]),
        *(columns[name].to_pylist() for name in ("tenant", "actor", "provider", "model", "status")),
        (None if usage[0] is None else Usage(*usage) for usage in usages),
        *(columns[name].to_pylist() for name in COLUMNS[-6:]),
        strict=True,
    ):
        yield Call(
            day,
            requested,
            ended,
            tenant,
            actor,
            provider or "",
            model or "",
            status,
            usage,
            cost,
            failed,
            hold,
            assumed,
            price or "",
            digest or "",
        )


def _moments(column: Any) -> Iterator[datetime]:
    # Many times faster than pyarrow's own way to datetime with a time zone.
    return (_EPOCH + timedelta(microseconds=instant) for instant in column.cast(pa.int64()).to_pylist())
