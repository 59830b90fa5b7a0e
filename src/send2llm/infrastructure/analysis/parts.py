"""Parquet files in folders by day. A file is there whole, or not at all.

A file's name has the positions that its batch spans (``part-FIRST-LAST.parquet``), so that what a run left behind that
was killed before it could write its manifest is known, and so that the batches follow each other by name.
"""

import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

EVENTS, CALLS, SEALS = "events", "calls", "seals"

NO_DAY = "1970-01-01"
"""Where events go whose state cannot be read, when nothing before them in their batch tells a day."""

_NAME = re.compile(r"part-(?P<first>\d{20})-(?P<last>\d{20})\.parquet")
IN_FOLDER = _NAME
IN_DAY = re.compile(rf"day=\d{{4}}-\d\d-\d\d/{_NAME.pattern}")
"""Where parts are, in a folder of their own or in one for each day."""

_UNFINISHED = ".unfinished"


def name_of(first: int, last: int) -> str:
    """The name of a part of the batch between two positions."""
    return f"part-{first:020d}-{last:020d}.parquet"


def last_position(part: Path) -> int:
    """Where the batch of a part ends."""
    return span_of(part)[1]


def span_of(part: Path) -> tuple[int, int]:
    """The positions between which the batch of a part lies."""
    found = _NAME.fullmatch(part.name)
    if found is None:
        raise ValueError(f"{part} is no part of an export.")
    return int(found["first"]), int(found["last"])


def day_of(part: Path) -> str:
    """The day whose folder a part is in."""
    return part.parent.name.removeprefix("day=")


def parts_of(folder: Path, *, day: str | None = None) -> list[Path]:
    """The parts in a folder and its days, in the order of their batches."""
    found = folder.glob(f"day={day}/part-*.parquet" if day else "**/part-*.parquet")
    return sorted((part for part in found if _NAME.fullmatch(part.name)), key=lambda part: (part.name, str(part)))


def strangers(folder: Path, place: re.Pattern[str]) -> list[Path]:
    """What is in a folder, at another ``place`` or under another name than parts, and may be taken for one by others.

    Names that begin with a dot are nobody's business, but for those that a reader of ``*.parquet`` may find.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if (path.is_symlink() or not path.is_dir())
        and not place.fullmatch(path.relative_to(folder).as_posix())
        and (not path.name.startswith(".") or path.name.lower().endswith(".parquet"))
    )


def day_name(at: datetime) -> str:
    """The day of a moment in UTC, as folders are named."""
    return at.date().isoformat()


def days_of(folder: Path) -> list[str]:
    """The days in a folder, in their order."""
    return sorted(day.name.removeprefix("day=") for day in folder.glob("day=*"))


def write_rows(part: Path, rows: Sequence[Sequence[Any]], schema: pa.Schema) -> None:
    """Write rows, whose cells are in the order of the ``schema``."""
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    write_table(part, pa.Table.from_arrays(columns, schema=schema))


def write_table(part: Path, table: pa.Table) -> None:
    """Write a part under a name that no reader looks at, bring it to the disk, and rename it."""
    part.parent.mkdir(parents=True, exist_ok=True)
    draft = part.with_name(f".{part.name}{_UNFINISHED}")
    with draft.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(part)
    sync_folder(part.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_after(folder: Path, position: int) -> int:
    """Remove what a run has left that was killed: parts after a position, and unfinished ones. Gives how many."""
    left = list(_left_behind(folder, position))
    for path in left:
        path.unlink()
    return len(left)


def _left_behind(folder: Path, position: int) -> Iterator[Path]:
    yield from (part for part in parts_of(folder) if last_position(part) > position)
    yield from folder.glob(f"**/.part-*{_UNFINISHED}")
