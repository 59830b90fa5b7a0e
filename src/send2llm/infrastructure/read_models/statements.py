"""Statements of SQLAlchemy, run by psycopg itself, on tables as they are or as they were.

SQLAlchemy's asyncio layer would need greenlets and costs more than the queries do.
"""

from typing import Any, Protocol, cast

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Connection, Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from send2llm.application.projections import Projection
from send2llm.infrastructure.postgres.pooled_reads import read
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.projections.past_fold import ALL
from send2llm.infrastructure.projections.untouched import ConversationColumns

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has no annotation there

Rows = list[dict[str, Any]]


class Tables(Protocol):
    """The tables of projections, as of some moment."""

    async def read(self, what: str, *statements: Select[Any]) -> list[Rows]:
        """The rows of each statement, of one moment; ``what`` is read, for messages. Raises ``StoreUnavailable``."""
        ...


class PresentTables:
    """The tables as they are."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def read(self, what: str, *statements: Select[Any]) -> list[Rows]:
        async def work(connection: psycopg.AsyncConnection[Any]) -> list[Rows]:
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                return [await self._rows(connection, statement) for statement in statements]

        return await read(self._pool, work, what)

    async def _rows(self, connection: psycopg.AsyncConnection[Any], statement: Select[Any]) -> Rows:
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(*_compiled(statement))
            return await cursor.fetchall()


class PastTables:
    """The tables of one projection as they were after the event at a position; each reading folds them anew.

    ``by_conversation`` as in ``ProjectionsAsOf.ask``.
    """

    def __init__(
        self,
        past: ProjectionsAsOf,
        projection: Projection,
        position: int,
        by_conversation: ConversationColumns = ALL,
    ) -> None:
        self._past = past
        self._projection = projection
        self._position = position
        self._by_conversation = by_conversation

    async def read(self, what: str, *statements: Select[Any]) -> list[Rows]:  # noqa: ARG002 - the message names the past
        def answers(connection: Connection) -> list[Rows]:
            raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
            with raw.cursor(row_factory=dict_row) as cursor:
                return [cursor.execute(*_compiled(statement)).fetchall() for statement in statements]

        return await self._past.ask(self._projection, self._position, answers, self._by_conversation)


def _compiled(statement: Select[Any]) -> tuple[bytes, Any]:
    """The text, which comes from SQLAlchemy with placeholders, and the values, which travel apart from it."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return str(compiled).encode(), compiled.params
