"""An export as a sealed log: its raw events and seals, for whoever has the files and a public key and nothing else."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from send2llm.application.log_verification import LogVerification, Progress, verify_log
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.log_seals import RawEvent, Seal
from send2llm.infrastructure.analysis import manifest, parts
from send2llm.infrastructure.analysis.stored_states import EventRow, event_row, occurred_at, parsed
from send2llm.infrastructure.analysis.strict_parts import read_events, read_seals
from send2llm.infrastructure.log_seals.signing import is_signed


class ExportedLog:
    """Reads what is in the files, and believes no manifest. Raises ``InvalidRequest`` for what is no export."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._events = folder / parts.EVENTS
        self._seals = folder / parts.SEALS
        if not self._events.is_dir() and not _is_of_empty_log(folder):
            raise InvalidRequest(f"{folder} holds no exported events; make them with `send2llm export {folder}`.")

    def rows(self) -> Iterator[EventRow]:
        """All events in the order of their positions, a batch at a time; raises ``LogFault`` where there is none."""
        return (row for _, row in self._placed())

    def _placed(self) -> Iterator[tuple[Path, EventRow]]:
        """The same, each with the part that it is in."""
        for _, batch in groupby(parts.parts_of(self._events), key=lambda part: part.name):
            files = list(batch)
            read = [read_events(part) for part in files]
            fault = min((one.fault for one in read if one.fault), key=lambda one: one.position or 0, default=None)
            table = pa.concat_tables([_numbered(one.table, n) for n, one in enumerate(read)])
            for block in table.sort_by("position").to_batches(max_chunksize=_BLOCK):
                for *row, n in zip(*(column.to_pylist() for column in block.columns), strict=True):
                    if fault is not None and row[0] >= fault.position:
                        raise fault
                    yield files[n], EventRow._make(row)
            if fault is not None:
                raise fault

    def seals(self) -> Iterator[Seal]:
        """All seals in their order; raises ``LogFault``."""
        for part in parts.parts_of(self._seals):
            yield from read_seals(part)

    def verify(
        self,
        *,
        trusted: Collection[bytes] = (),
        kept: Sequence[Seal] = (),
        progress: Progress = lambda _done, _all: None,
    ) -> LogVerification:
        """``verify_log`` on the files; and each event is where it belongs, with columns that say what its bytes say.

        Nothing else is in the folder: whoever analyses it would count it.
        """
        told = _Told()
        found = verify_log(
            told.raw(self._placed()),
            self.seals(),
            is_signed,
            trusted=trusted,
            kept=kept,
            time_of=occurred_at,
            progress=progress,
        )
        if found.fault:
            return found
        for path in self._strangers():
            return replace(found, fault=f"{path} is no part of an export, and whoever reads the folder may count it.")
        return replace(found, fault=told.fault, position=told.position)

    def _strangers(self) -> Iterator[Path]:
        """What may be taken for a part of the export, and is none."""
        yield from parts.strangers(self._events, parts.IN_DAY)
        yield from parts.strangers(self._folder / parts.CALLS, parts.IN_DAY)
        yield from parts.strangers(self._seals, parts.IN_FOLDER)
        known = (parts.EVENTS, parts.CALLS, parts.SEALS)
        for place in sorted(place for place in self._folder.iterdir() if place.name not in known):
            for path in (place, *sorted(place.rglob("*"))):
                if path.name.lower().endswith(".parquet") or path.is_symlink():
                    yield path


class _Told:
    """Raw events of rows, and the first row that says something else than its raw event, or lies elsewhere."""

    def __init__(self) -> None:
        self.fault = ""
        self.position: int | None = None
        self._batch = self._day = ""

    def raw(self, placed: Iterator[tuple[Path, EventRow]]) -> Iterator[RawEvent]:
        for part, row in placed:
            event = RawEvent(row.position, row.stream, row.version, row.topic, row.state)
            if not self.fault:
                self._compare(part, row, event)
            yield event

    def _compare(self, part: Path, row: EventRow, event: RawEvent) -> None:
        if part.name != self._batch:
            self._batch, self._day = part.name, parts.NO_DAY
        if row.occurred_at is not None:
            self._day = parts.day_name(row.occurred_at)
        first, last = parts.span_of(part)
        if row != event_row(event, parsed(event)):
            self.fault = "The columns of an event are not what its stored bytes say."
        elif parts.day_of(part) != self._day or not first <= row.position <= last:
            self.fault = f"An event is in {part}, which is for another day or for other positions."
        if self.fault:
            self.position = row.position


_BLOCK = 2000


def _is_of_empty_log(folder: Path) -> bool:
    return (folder / manifest.FILE).is_file() and manifest.Manifest.of(folder) == manifest.Manifest()


def _numbered(table: Any, number: int) -> Any:
    return table.append_column("part", pa.array([number] * table.num_rows, pa.int32()))
