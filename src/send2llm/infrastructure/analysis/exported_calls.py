"""The calls of an export."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.analysis import parts
from send2llm.infrastructure.analysis.calls_by_day import COLUMNS, SCHEMA, CallsByDay
from send2llm.infrastructure.analysis.manifest import Manifest


class ExportedCalls(CallsByDay):
    """Reads a folder that ``Export`` wrote, as far as its manifest goes. ``InvalidRequest`` for another."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "manifest.json").is_file():
            raise InvalidRequest(f"{folder} is no export; make one with `send2llm export {folder}`.")
        manifest = Manifest.of(folder)
        self._folder = folder / parts.CALLS
        self._position = manifest.position
        self.count = manifest.calls

    def days(self) -> Sequence[str]:
        """Those that have a folder; ``InvalidRequest`` for a folder of no day."""
        days = parts.days_of(self._folder)
        for day in days:
            if not _is_day(day):
                raise InvalidRequest(f"{self._folder / f'day={day}'} is no day of an export; move it elsewhere.")
        return days

    def table(self, day: str) -> Any:
        """The rows of its parts."""
        known = [part for part in parts.parts_of(self._folder, day=day) if parts.last_position(part) <= self._position]
        return pa.concat_tables([SCHEMA.empty_table(), *map(_read, known)])


def _read(part: Path) -> Any:
    try:
        return pq.ParquetFile(part).read(columns=list(COLUMNS)).select(list(COLUMNS))
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InvalidRequest(
            f"{part} cannot be read ({type(error).__name__}): it is damaged, or was not written by `send2llm export`."
        ) from None


def _is_day(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False
