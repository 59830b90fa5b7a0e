"""The calls of an export in the order in which they began, a day at a time."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from send2llm.application.replay.calls import Call, Selection
from send2llm.domain.completion import Usage
from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.analysis import parts, schemas
from send2llm.infrastructure.analysis.call_rows import USAGE
from send2llm.infrastructure.analysis.manifest import Manifest

_COLUMNS = (
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
    "request_digest",
)
_SCHEMA = pa.schema([schemas.CALLS.field(name) for name in _COLUMNS])
_BLOCK = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ExportedCalls:
    """Reads a folder that ``Export`` wrote, as far as its manifest goes. ``InvalidRequest`` for another."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "manifest.json").is_file():
            raise InvalidRequest(f"{folder} is no export; make one with `send2llm export {folder}`.")
        manifest = Manifest.of(folder)
        self._folder = folder / parts.CALLS
        self._position = manifest.position
        self.count = manifest.calls

    def read(
        self, selection: Selection, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> Iterator[Call]:
        """The selected calls; ``progress`` hears how many were looked at, of how many."""
        seen = 0
        for day in parts.days_of(self._folder):
            if _is_outside(date.fromisoformat(day), selection):
                continue
            whole = self._table(day)
            table = _selected(whole, selection).sort_by("requested_at")
            for block in table.to_batches(max_chunksize=_BLOCK):
                yield from _calls(day, block)
                progress(min(seen + block.num_rows, self.count), self.count)
                seen += block.num_rows

    def _table(self, day: str) -> Any:
        known = [part for part in parts.parts_of(self._folder, day=day) if parts.last_position(part) <= self._position]
        tables = [pq.ParquetFile(part).read(columns=list(_COLUMNS)).select(list(_COLUMNS)) for part in known]
        return pa.concat_tables([_SCHEMA.empty_table(), *tables])


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
    columns = dict(zip(_COLUMNS, block.columns, strict=True))
    usages = zip(*(columns[name].to_pylist() for name in USAGE), strict=True)
    for requested, ended, tenant, actor, provider, model, status, usage, cost, failed, hold, assumed, digest in zip(
        _moments(columns["requested_at"]),
        _moments(columns["ended_at"]),
        *(columns[name].to_pylist() for name in ("tenant", "actor", "provider", "model", "status")),
        (None if usage[0] is None else Usage(*usage) for usage in usages),
        *(columns[name].to_pylist() for name in _COLUMNS[-5:]),
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
            digest or "",
        )


def _moments(column: Any) -> Iterator[datetime]:
    # Many times faster than pyarrow's own way to datetime with a time zone.
    return (_EPOCH + timedelta(microseconds=instant) for instant in column.cast(pa.int64()).to_pylist())
