"""The calls in the event store, for who goes through them more than once or in another order than they ended."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from send2llm.infrastructure.analysis.call_rows import TOPICS, CallRows, Row
from send2llm.infrastructure.analysis.calls_by_day import COLUMNS, SCHEMA, CallsByDay, Told
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.analysis.stored_states import parsed
from send2llm.infrastructure.analysis.transcripts import Transcripts

BATCH_CALLS = 20_000
"""Calls in memory before they are written."""

Cells = tuple[Any, ...]
"""A call by ``COLUMNS``: a tenth of the memory of its row."""

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")


class StoredCalls(CallsByDay):
    """Folds the events once, and keeps the calls in a temporary file that has no name.

    So whoever is killed leaves nothing behind. ``requests``: with the digest of what was asked. Only that needs texts,
    and with them keys and whole conversations; without it just those events are read that calls are made of.
    ``OSError`` when the folder for temporary files has no room.
    """

    def __init__(
        self, log: StoredLog, *, requests: bool, told: Told = lambda _position, _head: None, batch: int = BATCH_CALLS
    ) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._batches: defaultdict[str, list[int]] = defaultdict(list)
        self._written = self.count = 0
        try:
            self._reader = self._kept(_read_all(log, told) if requests else _read_calls(log, told), batch)
        except BaseException:  # nobody gets this object, so nobody else can close its file
            self._file.close()
            raise

    def days(self) -> Sequence[str]:
        """Those on which calls began."""
        return sorted(self._batches)

    def table(self, day: str) -> Any:
        """The rows of its batches."""
        return pa.Table.from_batches([self._reader.get_batch(number) for number in self._batches[day]], SCHEMA)

    def close(self) -> None:
        """The calls are gone."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _kept(self, rows: Iterable[Row], batch: int) -> Any:
        """Write the rows; gives what reads them again."""
        days: defaultdict[str, list[Cells]] = defaultdict(list)
        with pa.ipc.new_file(self._file, SCHEMA, options=_COMPRESSED) as writer:
            for row in rows:
                days[row["requested_at"].date().isoformat()].append(tuple(map(row.get, COLUMNS)))
                self.count += 1
                if self.count % batch == 0:
                    self._write(days, writer.write_batch)
            self._write(days, writer.write_batch)
        self._file.flush()
        return pa.ipc.open_file(pa.PythonFile(self._file, "r"))

    def _write(self, days: dict[str, list[Cells]], write: Callable[[Any], None]) -> None:
        for day, calls in days.items():
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*calls, strict=True), SCHEMA, strict=True)
            ]
            write(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
            self._batches[day].append(self._written)
            self._written += 1
        days.clear()


def _read_calls(log: StoredLog, told: Told) -> Iterator[Row]:
    calls, written_off = CallRows(None), dict[str, Row]()
    for page in log.pages(0, topics=TOPICS):
        for event in page:
            state = parsed(event)
            if state is not None:
                yield from _final(calls.apply(event, state.meta, state.data), calls, written_off)
        told(page[-1].position, log.head)
    yield from written_off.values()


def _read_all(log: StoredLog, told: Told) -> Iterator[Row]:
    calls, written_off = CallRows(Transcripts(log.stream), digest_key=log.digest_key), dict[str, Row]()
    for page in log.pages(0):
        keys = log.keys_of({event.stream for event in page})
        for event in page:
            state = parsed(event)
            if state is not None:
                log.reveal(event, state, keys.get(event.stream))
                yield from _final(calls.apply(event, state.meta, state.data), calls, written_off)
        told(page[-1].position, log.head)
    yield from written_off.values()


def _final(row: Row | None, calls: CallRows, written_off: dict[str, Row]) -> Iterator[Row]:
    """The row of a call that has ended for good; those that were written off wait, for their answer may still come."""
    if row is None:
        return
    completion = row["completion"]
    if completion in calls.written_off:
        written_off[completion] = row
    else:
        written_off.pop(completion, None)
        yield row
