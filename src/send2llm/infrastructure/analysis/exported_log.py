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
from send2llm.infrastructure.analysis import parts, schemas
from send2llm.infrastructure.analysis.stored_states import EventRow, event_row, parsed
from send2llm.infrastructure.log_seals.signing import is_signed


class ExportedLog:
    """Reads what is in the files, and believes no manifest. Raises ``InvalidRequest`` for what is no export."""

    def __init__(self, folder: Path) -> None:
        self._events = folder / parts.EVENTS
        self._seals = folder / parts.SEALS
        if not self._events.is_dir():
            raise InvalidRequest(f"{folder} holds no exported events; make them with `send2llm export {folder}`.")

    def rows(self) -> Iterator[EventRow]:
        """All events in the order of their positions, a batch at a time."""
        for _, batch in groupby(parts.parts_of(self._events), key=lambda part: part.name):
            table = pa.concat_tables([_read(part, schemas.EVENTS) for part in batch]).sort_by("position")
            for block in table.to_batches(max_chunksize=_BLOCK):
                yield from map(EventRow._make, zip(*(column.to_pylist() for column in block.columns), strict=True))

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
        """``verify_log`` on the files, and every column of an event is what its stored bytes say."""
        told = _Told()
        found = verify_log(
            told.raw(self.rows()), self.seals(), is_signed, trusted=trusted, kept=kept, progress=progress
        )
        if found.fault or told.otherwise is None:
            return found
        return replace(
            found, fault="The columns of an event are not what its stored bytes say.", position=told.otherwise
        )


class _Told:
    """Raw events of rows, and the first row that says something else than its raw event."""

    def __init__(self) -> None:
        self.otherwise: int | None = None

    def raw(self, rows: Iterator[EventRow]) -> Iterator[RawEvent]:
        for row in rows:
            event = RawEvent(row.position, row.stream, row.version, row.topic, row.state)
            if self.otherwise is None and row != event_row(event, parsed(event)):
                self.otherwise = row.position
            yield event


_BLOCK = 2000


def _read(part: Path, schema: Any) -> Any:
    try:
        table = pq.ParquetFile(part).read(columns=schema.names)
        return table.select(schema.names).cast(schema)
    except (OSError, pa.ArrowException) as error:
        raise InvalidRequest(
            f"{part} cannot be read ({type(error).__name__}): it is damaged, or was not written by `send2llm export`."
        ) from None
