"""Whatever is done to the files of an export, verification says so, and names the file and the first position."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored_calls import Asking, seal_all

from send2llm.application.log_verification import LogVerification
from send2llm.infrastructure.analysis import parts
from send2llm.infrastructure.analysis.export import Export
from send2llm.infrastructure.analysis.exported_log import ExportedLog
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter

KEY = SealingKey.generate()
Change = Callable[[Any], Any]


@pytest.fixture
def export(migrated: ConnectionInfo, tmp_path: Path) -> Path:
    """Twelve events under a seal, of which those at 4, 8 and 12 are of the second day."""
    with EventWriter(migrated) as writer:
        ask = Asking(writer)
        for n in range(3):
            ask(f"question {n}")
    seal_all(migrated, KEY)
    log = StoredLog(migrated, None)
    Export(tmp_path, log).run()
    log.close()
    return tmp_path


def changed(part: Path, change: Change) -> None:
    pq.write_table(change(pq.ParquetFile(part).read()), part)


def verified(export: Path) -> LogVerification:
    return ExportedLog(export).verify(trusted=[KEY.public])


def with_value(name: str, row: int, value: object) -> Change:
    """With another value of a column in a row."""

    def change(table: Any) -> Any:
        place = table.schema.get_field_index(name)
        values = table[name].to_pylist()
        values[row] = value
        return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))

    return change


def in_rows(*rows: int) -> Change:
    return lambda table: table.take(list(rows))


@pytest.mark.parametrize(
    ("change", "words", "position"),
    [
        (lambda table: table.drop_columns(["data"]), "(missing: data; not of an export: none)", 1),
        (lambda table: table.append_column("note", pa.array(["x"] * 9)), "not of an export: note", 1),
        (lambda table: table.rename_columns(["place", *table.column_names[1:]]), "missing: position", 1),
        (lambda table: table.cast(table.schema.set(2, pa.field("version", pa.int32()))), "missing: version", 1),
        (lambda table: table.select([1, 0, *range(2, len(table.columns))]), "has other columns", 1),
        (with_value("position", 0, None), "an event has no position", 1),
        (with_value("position", 4, None), "an event has no position", 6),
        (with_value("stream", 4, None), "an event has no stream", 6),
        (with_value("version", 8, None), "an event has no version", 11),
        (with_value("topic", 1, None), "an event has no topic", 2),
        (with_value("state", 4, None), "an event has no state", 6),
        (with_value("occurred_at", 4, pa.scalar(2**62, pa.timestamp("us", "UTC"))), "the time of an event", 6),
        (in_rows(0, 1, 2, 4, 3, 5, 6, 7, 8), "not in the order of their positions", 5),
        (in_rows(8, 0, 1, 2, 3, 4, 5, 6, 7), "not in the order of their positions", 1),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_events_that_are_none_are_named(export: Path, change: Change, words: str, position: int) -> None:
    assert verified(export).fault == ""
    part = parts.parts_of(export / "events", day="2026-11-26")[0]

    changed(part, change)

    found = verified(export)
    assert found.fault.startswith(str(part))
    assert words in found.fault
    assert (found.position, found.seal) == (position, None)


def test_the_first_of_several_faults_is_told(export: Path) -> None:
    first, second = (parts.parts_of(export / "events", day=f"2026-11-{day}")[0] for day in (26, 27))
    changed(first, with_value("state", 8, None))
    changed(second, with_value("state", 1, b"{}"))
    assert (verified(export).fault, verified(export).position) == ("An event was changed, inserted or removed.", 8)

    changed(second, with_value("topic", 0, None))

    assert (verified(export).fault, verified(export).position) == (f"{second}: an event has no topic.", 4)


@pytest.mark.parametrize("name", ["number", "chain", "events", "link", "sealed_at", "public_key", "signature", "links"])
def test_a_seal_with_nothing_in_a_column_is_named(export: Path, name: str) -> None:
    (part,) = parts.parts_of(export / "seals")
    changed(part, with_value(name, 0, None))

    found = verified(export)

    assert (found.fault, found.position) == (f"{part}: a seal has no {name}.", 1)


@pytest.mark.parametrize(
    "change",
    [
        with_value("chain", 0, "x"),
        with_value("sealed_at", 0, pa.scalar(2**62, pa.timestamp("us", "UTC"))),
        lambda table: table.drop_columns(["link"]),
        lambda table: table.append_column("note", pa.array(["x"])),
    ],
)
def test_a_seal_that_is_none_is_named(export: Path, change: Change) -> None:
    (part,) = parts.parts_of(export / "seals")
    changed(part, change)

    found = verified(export)

    assert found.fault.startswith(str(part))
    assert (found.position, found.events) == (1, 0)


@pytest.mark.parametrize("folder", ["events", "seals"])
@pytest.mark.parametrize("length", [0, 500])
def test_a_file_that_was_cut_off_is_named(export: Path, folder: str, length: int) -> None:
    part = parts.parts_of(export / folder)[0]
    with part.open("r+b") as file:
        file.truncate(length)

    found = verified(export)

    assert found.fault.startswith(f"{part} cannot be read")
    assert found.position == 1


def test_a_column_whose_name_is_no_text_is_named(export: Path) -> None:
    part = parts.parts_of(export / "events")[0]
    part.write_bytes(part.read_bytes().replace(b"tenant", b"te\xb3ant"))

    assert verified(export).fault.startswith(f"{part} cannot be read (UnicodeDecodeError)")
