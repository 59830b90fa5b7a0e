"""How the projections stand, for anybody who can read the database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from send2llm.application.projections import ProjectionState, ProjectionStatus
from send2llm.infrastructure.postgres.advisory_locks import HELD_KEYS
from send2llm.infrastructure.postgres.pooled_reads import read
from send2llm.infrastructure.projections.lease import lease_key
from send2llm.infrastructure.projections.log_pages import EVENTS_TABLE, EventDecoder
from send2llm.infrastructure.relay.names import RELAYS

_STATUSES = """
    SELECT name, version, build, role, paused, position, rate, reason, failed_position, waits_for,
           updated_at, created_at, (SELECT coalesce(max(notification_id), 0) FROM {events}) AS head,
           (SELECT count(*) FROM projection_skips AS skipped
            WHERE skipped.name = checkpoints.name AND skipped.version = checkpoints.version) AS skipped
    FROM projection_checkpoints AS checkpoints ORDER BY name, version, build
"""
_NEXT = """
    SELECT notification_id, originator_id, originator_version, topic, state FROM {events}
    WHERE notification_id > %s ORDER BY notification_id LIMIT 1
"""


_COMPARED = ("verified", "different")
"""Roles of builds whose work is done."""


class PostgresProjections:
    """``ProjectionStatuses``, from the checkpoints, the log and the leases that runners hold."""

    def __init__(self, pool: AsyncConnectionPool, decoder: EventDecoder, events_table: str = EVENTS_TABLE) -> None:
        self._pool = pool
        self._decoder = decoder
        self._statuses = sql.SQL(_STATUSES).format(events=sql.Identifier(events_table))
        self._next = sql.SQL(_NEXT).format(events=sql.Identifier(events_table))

    async def all(self) -> Sequence[ProjectionStatus]:
        return await read(self._pool, self._all, "the state of the projections")

    async def _all(self, connection: psycopg.AsyncConnection[Any]) -> Sequence[ProjectionStatus]:
        async with connection.cursor(row_factory=dict_row) as cursor:
            held = {row["key"] for row in await (await cursor.execute(HELD_KEYS)).fetchall()}
            rows = await (await cursor.execute(self._statuses)).fetchall()
            now = datetime.now(UTC)
            return [await self._status(cursor, row, held, now) for row in rows]

    async def _status(
        self, cursor: psycopg.AsyncCursor[Any], row: dict[str, Any], held: set[int], now: datetime
    ) -> ProjectionStatus:
        lag = 0 if row["role"] in _COMPARED else max(0, row["head"] - row["position"])
        state = _state(row, held)
        del row["paused"]
        if row["name"] in RELAYS and row["role"] == "live":
            row["role"] = "relay"
        return ProjectionStatus(
            **row,
            lag_events=lag,
            lag_seconds=await self._age_of_next(cursor, row["position"], now) if lag else 0.0,
            state=state,
        )

    async def _age_of_next(self, cursor: psycopg.AsyncCursor[Any], position: int, now: datetime) -> float | None:
        row = await (await cursor.execute(self._next, (position,))).fetchone()
        if row is None:
            return 0.0
        try:
            event = self._decoder.decode(*row.values())
        except Exception:  # noqa: BLE001 - an event that nobody can read is what a status has to survive
            return None
        return max(0.0, (now - event.metadata.occurred_at).total_seconds())


def _state(row: dict[str, Any], held: set[int]) -> ProjectionState:
    if row["role"] in _COMPARED:
        return "done"
    if row["reason"] is not None:
        return "failed"
    if row["paused"]:
        return "paused"
    return "running" if lease_key(row["name"], row["version"], row["build"]) in held else "waiting"
