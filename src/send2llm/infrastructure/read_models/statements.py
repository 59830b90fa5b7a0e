"""Statements of SQLAlchemy, run by psycopg itself.

SQLAlchemy's asyncio layer would need greenlets and costs more than the queries do.
"""

from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from send2llm.infrastructure.postgres.pooled_reads import read

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has no annotation there

Rows = list[dict[str, Any]]


async def read_statements(pool: AsyncConnectionPool, what: str, *statements: Select[Any]) -> list[Rows]:
    """The rows of each statement, all of one moment. ``what`` is read, for messages; raises ``StoreUnavailable``."""

    async def work(connection: psycopg.AsyncConnection[Any]) -> list[Rows]:
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return [await _rows(connection, statement) for statement in statements]

    return await read(pool, work, what)


async def _rows(connection: psycopg.AsyncConnection[Any], statement: Select[Any]) -> Rows:
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    async with connection.cursor(row_factory=dict_row) as cursor:
        # The text comes from SQLAlchemy with placeholders; values travel apart from it.
        await cursor.execute(str(compiled).encode(), compiled.params)
        return await cursor.fetchall()
