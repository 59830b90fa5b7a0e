"""How far a relay has come: a row beside those of the projections, so that it is seen and paused as they are."""

from dataclasses import dataclass
from typing import Any

import psycopg

from send2llm.infrastructure.projections.lease import lease_key

VERSION = 1

_TAKE = "SELECT pg_try_advisory_lock(%s)"
_BEGIN = """
INSERT INTO projection_checkpoints (name, version, position, rate, updated_at) VALUES (%s, %s, 0, 0, now())
ON CONFLICT DO NOTHING
"""
_READ = "SELECT position, paused FROM projection_checkpoints WHERE name = %s AND version = %s AND build = 1"
_MOVE = """
UPDATE projection_checkpoints
SET position = %s, rate = %s, reason = NULL, failed_position = NULL, updated_at = now()
WHERE name = %s AND version = %s AND build = 1 AND position = %s
"""
_FAIL = """
UPDATE projection_checkpoints SET reason = %s, failed_position = %s, updated_at = now()
WHERE name = %s AND version = %s AND build = 1
"""
_FAILED = """
SELECT reason IS NOT NULL FROM projection_checkpoints WHERE name = %s AND version = %s AND build = 1
"""
_SKIPPED = "SELECT EXISTS (SELECT FROM projection_skips WHERE name = %s AND version = %s AND position = %s)"


@dataclass(frozen=True, slots=True)
class RelayPosition:
    """The row of the relay ``name``, in a session that holds its lease: who loses the session loses both."""

    connection: psycopg.AsyncConnection[Any]
    name: str

    async def take_lease(self) -> bool:
        """Whether nobody else relays; then nobody will, for as long as the session lasts."""
        row = await (await self.connection.execute(_TAKE, (lease_key(self.name, VERSION),))).fetchone()
        return bool(row and row[0])

    async def read(self) -> tuple[int, bool]:
        """The position up to which everything was handed on, and whether the relay is paused."""
        await self.connection.execute(_BEGIN, (self.name, VERSION))
        row = await (await self.connection.execute(_READ, (self.name, VERSION))).fetchone()
        return (row[0], row[1]) if row else (0, True)  # somebody has removed it this very moment

    async def move(self, before: int, after: int, rate: float) -> None:
        """Everything up to ``after`` was handed on. A position that somebody else has set meanwhile stays."""
        await self.connection.execute(_MOVE, (after, rate, self.name, VERSION, before))

    async def fail(self, reason: str, position: int | None = None) -> None:
        """Say why it does not go on, and at which event; that is gone when it does, or somebody wants another try."""
        await self.connection.execute(_FAIL, (reason, position, self.name, VERSION))

    async def failed(self) -> bool:
        """Whether nobody has said yet that another try is worth it."""
        row = await (await self.connection.execute(_FAILED, (self.name, VERSION))).fetchone()
        return bool(row and row[0])

    async def skipped(self, position: int) -> bool:
        """Whether the event is to be left out."""
        row = await (await self.connection.execute(_SKIPPED, (self.name, VERSION, position))).fetchone()
        return bool(row and row[0])
