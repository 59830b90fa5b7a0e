"""Reading from PostgreSQL on the event loop, in the application's terms."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from send2llm.domain.errors import StoreUnavailable

DECODED_ON_THE_LOOP = 100
"""So many events are decoded at once on the event loop, in about a millisecond; more go to a thread."""

Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]
Result = TypeVar("Result")


class Reader:
    """Runs queries on a pool; connections that died since their last use are replaced.

    A pool in autocommit mode saves two round trips a query.
    """

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def fetch(self, query: LiteralString, parameters: Parameters) -> list[Row]:
        """All rows of a query; raises ``StoreUnavailable``."""
        try:
            try:
                return await self._fetch(query, parameters)
            except PoolTimeout:
                raise
            except psycopg.OperationalError:
                # The server was restarted, perhaps: other idle connections are as dead as this one was.
                await self._pool.check()
                return await self._fetch(query, parameters)
        except psycopg.errors.UndefinedTable:
            raise StoreUnavailable("The event store has no tables yet; run `send2llm migrate`.") from None
        except psycopg.Error as error:
            raise StoreUnavailable(
                f"The event store cannot be read ({type(error).__name__}). `send2llm doctor` checks the database."
            ) from error

    async def _fetch(self, query: LiteralString, parameters: Parameters) -> list[Row]:
        # Binary: states come as they are, not as hexadecimal text of twice the size.
        async with (
            self._pool.connection() as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(query, parameters)
            rows: list[Row] = await cursor.fetchall()
            return rows


async def off_the_loop_when_long(rows: Sequence[Row], work: Callable[[], Result]) -> Result:
    """The result of ``work`` on rows; in a thread when there are many."""
    return await asyncio.to_thread(work) if len(rows) > DECODED_ON_THE_LOOP else work()
