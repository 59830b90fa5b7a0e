"""Exports for tests, and what is in them."""

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
from stored_calls import KEYS

from send2llm.infrastructure.analysis import parts
from send2llm.infrastructure.analysis.export import Export
from send2llm.infrastructure.analysis.exported_log import ExportedLog
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.postgres import ConnectionInfo


def export(folder: Path, database: ConnectionInfo, batch_events: int = 50_000) -> None:
    with closing(StoredLog(database, KEYS)) as log:
        Export(folder, log, batch_events=batch_events).run()


def calls_in(folder: Path) -> dict[str, dict[str, Any]]:
    rows = [row for part in parts.parts_of(folder / "calls") for row in pq.ParquetFile(part).read().to_pylist()]
    assert len({row["completion"] for row in rows}) == len(rows)
    return {row["completion"]: row for row in rows}


def stored(database: ConnectionInfo) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.dsn) as connection:
        return connection.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events"
            " ORDER BY notification_id"
        ).fetchall()


def exported(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row[:5]) for row in ExportedLog(folder).rows()]
