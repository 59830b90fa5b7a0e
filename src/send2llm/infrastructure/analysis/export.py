"""The whole history as Parquet, incrementally: what is new since the last run, batch by batch.

A batch is written in this order: its parts, each under its own name only when it is whole; then, where an answer came
for a call that was written off in an earlier batch, that batch's part without the call; then the manifest. Whoever is
killed leaves at most parts that the manifest does not know, and the next run begins by removing them: nothing is there
twice, and nothing is missing.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from send2llm.domain.errors import ConfigurationError
from send2llm.domain.log_seals import RawEvent, Seal
from send2llm.infrastructure.analysis import parts, schemas
from send2llm.infrastructure.analysis.call_rows import CallRows, Row
from send2llm.infrastructure.analysis.manifest import Manifest, digest_of, signature_of
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.analysis.stored_states import EventRow, event_row, parsed
from send2llm.infrastructure.analysis.transcripts import Transcripts
from send2llm.infrastructure.postgres.file_lock import FileLock

BATCH_EVENTS = 50_000
BATCH_BYTES = 32 * 2**20
"""A batch ends with the page in which it has so many events, or so many bytes of states: that bounds the memory."""

Progress = Callable[[int, int, int], None]
"""Is told the position that is exported, the last one there is, and the events of this run."""

_CALL_COLUMNS = schemas.CALLS.names


class Export:
    """Brings a folder up to date."""

    def __init__(self, folder: Path, log: StoredLog, *, batch_events: int = BATCH_EVENTS) -> None:
        self._folder = folder
        self._log = log
        self._batch_events = batch_events
        self._rows: list[EventRow] = []
        self._calls: dict[str, Row] = {}
        self._stale: dict[str, str] = {}
        self._bytes = self._count = self._done = 0

    def run(self, progress: Progress = lambda _position, _head, _events: None) -> Manifest:
        """Export what is new.

        Raises ``ConfigurationError`` for a folder that is in use, or that holds something else: also what this log had
        before its database was restored from a backup.
        """
        Manifest.of(self._folder)  # refuses before anything is made there
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / ".export.lock")
        if not lock.try_acquire_exclusive():
            raise ConfigurationError(f"Another export writes to {self._folder}; wait for its end.")
        try:
            manifest = Manifest.of(self._folder)
            manifest.goes_on(self._folder, self._log.event_at(manifest.position), self._log.seal(manifest.seal))
            return self._run(manifest, progress)
        finally:
            lock.release()

    def _run(self, manifest: Manifest, progress: Progress) -> Manifest:
        manifest.write(self._folder)
        for kind, known in (
            (parts.EVENTS, manifest.position),
            (parts.CALLS, manifest.position),
            (parts.SEALS, manifest.sealed),
        ):
            parts.remove_after(self._folder / kind, known)
        calls = CallRows(
            Transcripts(self._log.stream), manifest.open_calls, manifest.written_off, digest_key=self._log.digest_key
        )
        last: RawEvent | None = None
        for page in self._log.pages(manifest.position):
            self._take(page, calls, manifest)
            last = page[-1]
            if self._count >= self._batch_events or self._bytes >= BATCH_BYTES:
                manifest = self._flush(manifest, calls, last)
            progress(last.position, self._log.head, self._done)
        if last is not None and last.position > manifest.position:
            manifest = self._flush(manifest, calls, last)
        return self._seal(manifest)

    def _take(self, page: Sequence[RawEvent], calls: CallRows, manifest: Manifest) -> None:
        keys = self._log.keys_of({event.stream for event in page})
        for event in page:
            state = parsed(event)
            self._rows.append(event_row(event, state))
            self._bytes += len(event.state)
            if state is None:
                continue
            self._log.reveal(event, state, keys.get(event.stream))
            call = calls.apply(event, state.meta, state.data)
            if call is not None:
                completion = call["completion"]
                if completion in manifest.row_parts:
                    self._stale[completion] = manifest.row_parts[completion]
                self._calls[completion] = call
        self._count += len(page)
        self._done += len(page)

    def _flush(self, manifest: Manifest, calls: CallRows, last: RawEvent) -> Manifest:
        name = parts.name_of(manifest.position + 1, last.position)
        self._write(parts.EVENTS, name, _by_day(self._rows), schemas.EVENTS)
        places = self._write_calls(name)
        for completion, place in self._stale.items():
            _remove_call(self._folder / place, completion)
        manifest = replace(
            manifest,
            position=last.position,
            last_event=digest_of(last),
            events=manifest.events + self._count,
            calls=manifest.calls + len(self._calls) - len(self._stale),
            open_calls=calls.open,
            written_off=calls.written_off,
            row_parts={
                completion: places.get(completion) or manifest.row_parts[completion] for completion in calls.written_off
            },
        )
        manifest.write(self._folder)
        self._rows, self._calls, self._stale = [], {}, {}
        self._bytes = self._count = 0
        return manifest

    def _write(self, kind: str, name: str, days: dict[str, list[Any]], schema: Any) -> None:
        for day, rows in days.items():
            parts.write_rows(self._folder / kind / f"day={day}" / name, rows, schema)

    def _write_calls(self, name: str) -> dict[str, str]:
        """Gives the part of each call."""
        days: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        places: dict[str, str] = {}
        for completion, call in self._calls.items():
            day = parts.day_name(call["requested_at"])
            days[day].append(tuple(map(call.get, _CALL_COLUMNS)))
            places[completion] = f"{parts.CALLS}/day={day}/{name}"
        self._write(parts.CALLS, name, days, schemas.CALLS)
        return places

    def _seal(self, manifest: Manifest) -> Manifest:
        seals = self._log.seals(manifest.seal, manifest.position)
        if not seals:
            return manifest
        part = self._folder / parts.SEALS / parts.name_of(seals[0].first_position, seals[-1].last_position)
        parts.write_rows(part, [_seal_row(seal) for seal in seals], schemas.SEALS)
        manifest = replace(
            manifest, seal=seals[-1].number, last_seal=signature_of(seals[-1]), sealed=seals[-1].last_position
        )
        manifest.write(self._folder)
        return manifest


def _by_day(rows: Sequence[EventRow]) -> dict[str, list[Any]]:
    days: defaultdict[str, list[Any]] = defaultdict(list)
    day = parts.NO_DAY
    for row in rows:
        if row.occurred_at is not None:
            day = parts.day_name(row.occurred_at)
        days[day].append(row)
    return days


def _seal_row(seal: Seal) -> tuple[Any, ...]:
    return tuple(str(seal.chain) if name == "chain" else getattr(seal, name) for name in schemas.SEALS.names)


def _remove_call(part: Path, completion: str) -> None:
    if not part.exists():
        return
    table = pq.ParquetFile(part).read()
    kept = table.filter(pc.not_equal(table["completion"], completion))
    if kept.num_rows < table.num_rows:
        parts.write_table(part, kept)
