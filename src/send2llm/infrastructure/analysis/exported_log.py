"""An export as a sealed log: its raw events and seals, for whoever has the files and a public key and nothing else."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from send2llm.application.log_verification import LogVerification, Progress, verify_log
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.log_seals import RawEvent, Seal
from send2llm.infrastructure.analysis import manifest, parts, schemas
from send2llm.infrastructure.analysis.stored_states import EventRow, event_row, occurred_at, parsed
from send2llm.infrastructure.log_seals.signing import is_signed


class ExportedLog:
    """Reads what is in the files, and believes no manifest. Raises ``InvalidRequest`` for what is no export."""

    def __init__(self, folder: Path) -> None:
        self._events = folder / parts.EVENTS
        self._seals = folder / parts.SEALS
        if not self._events.is_dir() and not _is_of_empty_log(folder):
            raise InvalidRequest(f"{folder} holds no exported events; make them with `send2llm export {folder}`.")

    def rows(self) -> Iterator[EventRow]:
        """All events in the order of their positions, a batch at a time."""
        return (row for _, row in self._placed())

    def _placed(self) -> Iterator[tuple[Path, EventRow]]:
        """The same, each with the part that it is in."""
        for _, batch in groupby(parts.parts_of(self._events), key=lambda part: part.name):
            files = list(batch)
            table = pa.concat_tables([_numbered(_read(part, schemas.EVENTS), n) for n, part in enumerate(files)])
            for block in table.sort_by("position").to_batches(max_chunksize=_BLOCK):
                for *row, n in zip(*(column.to_pylist() for column in block.columns), strict=True):
                    yield files[n], EventRow._make(row)

    def seals(self) -> Sequence[Seal]:
        """All seals in their order."""
        rows = [row for part in parts.parts_of(self._seals) for row in _read(part, schemas.SEALS).to_pylist()]
        return [Seal(**{**row, "chain": UUID(row["chain"])}) for row in rows]

    def verify(
        self,
        *,
        trusted: Collection[bytes] = (),
        kept: Sequence[Seal] = (),
        progress: Progress = lambda _done, _all: None,
    ) -> LogVerification:
        """``verify_log`` on the files; and each event is where it belongs, with columns that say what its bytes say.

        Nothing else is in the folders: whoever analyses them would count it.
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
        for path in (*parts.strangers(self._events, parts.IN_DAY), *parts.strangers(self._seals, parts.IN_FOLDER)):
            return replace(found, fault=f"{path} is no part of an export, and whoever reads the folder may count it.")
        return replace(found, fault=told.fault, position=told.position)


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


def _read(part: Path, schema: Any) -> Any:
    try:
        table = pq.ParquetFile(part).read(columns=schema.names)
        return table.select(schema.names).cast(schema)
    except (OSError, pa.ArrowException) as error:
        raise InvalidRequest(
            f"{part} cannot be read ({type(error).__name__}): it is damaged, or was not written by `send2llm export`."
        ) from None
