"""An export is verified without the database: what was changed in its files is found."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from exports import export
from stored_calls import Asking, seal_all

from send2llm.infrastructure.analysis import parts, schemas
from send2llm.infrastructure.analysis.exported_log import ExportedLog
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo


def test_the_files_are_verified_with_the_public_key_alone(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    key = SealingKey.generate()
    for n in range(5):
        ask(f"question {n}")
    seal_all(migrated, key)
    ask("not sealed yet", "", at=datetime.now(UTC))
    export(tmp_path, migrated, batch_events=1)

    found = ExportedLog(tmp_path).verify(trusted=[key.public])
    assert (found.fault, found.events, found.unsealed) == ("", 20, 3)
    other = ExportedLog(tmp_path).verify(trusted=[SealingKey.generate().public])
    assert "not trusted" in other.fault


@pytest.mark.parametrize(("column", "value"), [("state", b"{}"), ("topic", "x"), ("tenant", "x"), ("data", "{}")])
def test_a_changed_file_is_found(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path, column: str, value: object
) -> None:
    ask("one")
    ask("two")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    part = parts.parts_of(tmp_path / "events")[0]
    rows = pq.ParquetFile(part).read().to_pylist()
    rows[1][column] = value
    parts.write_rows(part, [tuple(row.values()) for row in rows], schemas.EVENTS)

    found = ExportedLog(tmp_path).verify()

    assert found.fault
    assert found.position == 2


@pytest.mark.parametrize(
    "place",
    [
        "events/day=2026-11-26/extra.parquet",
        "events/day=2026-11-26/.extra.PARQUET",
        "events/day=2026-11-26/part-1.parquet",
        "events/day=2026-11-26/deeper/extra.parquet",
        "events/extra",
        "seals/extra.parquet",
        "calls/day=2026-11-26/extra.parquet",
        "extra.parquet",
        "more/.extra.PARQUET",
    ],
)
def test_a_file_that_others_would_count_is_found(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path, place: str
) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    (tmp_path / "events" / ".DS_Store").touch()
    (tmp_path / "README").touch()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    assert ExportedLog(tmp_path).verify().fault == ""

    shutil.copyfile(parts.parts_of(tmp_path / "events")[0], tmp_path / place)

    assert str(tmp_path / place) in ExportedLog(tmp_path).verify().fault


def test_a_part_that_is_there_twice_is_found(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    (part, *_) = parts.parts_of(tmp_path / "events")
    shutil.copytree(part.parent, part.parent.with_name("day=2020-01-01"))

    assert ExportedLog(tmp_path).verify().fault == "Two events stand at one position."


def test_a_folder_that_is_a_link_is_found(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    (part, *_) = parts.parts_of(tmp_path / "events")
    again = part.parent.with_name("day=2020-01-01")
    again.symlink_to(part.parent, target_is_directory=True)

    assert str(again) in ExportedLog(tmp_path).verify().fault
    again.rename(tmp_path / "beside")
    assert str(tmp_path / "beside") in ExportedLog(tmp_path).verify().fault


@pytest.mark.parametrize("change", ["day", "positions"])
def test_a_part_for_another_day_or_other_positions_is_found(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path, change: str
) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    *_, part = parts.parts_of(tmp_path / "events")
    if change == "day":
        part.parent.rename(part.parent.with_name("day=2020-01-01"))
    else:
        part.rename(part.with_name(parts.name_of(2, 3)))

    found = ExportedLog(tmp_path).verify()

    assert "for another day or for other positions" in found.fault
    assert found.position == 4


def test_events_that_tell_no_time_lie_where_those_before_them_do(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    unreadable = "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES (%s, 1, 't', 'x')"
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute(unreadable, ["before"])
        ask("one")
        connection.execute(unreadable, ["after"])
    seal_all(migrated, SealingKey.generate())

    for batch in (50_000, 1):
        export(tmp_path / str(batch), migrated, batch)
        assert ExportedLog(tmp_path / str(batch)).verify().fault == ""


def test_an_export_without_its_seals_was_not_verified(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    shutil.rmtree(tmp_path / "seals")

    assert "Nothing is sealed" in ExportedLog(tmp_path).verify().fault


def test_a_removed_file_is_found(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    parts.parts_of(tmp_path / "events")[-1].unlink()

    assert "cut off" in ExportedLog(tmp_path).verify().fault
