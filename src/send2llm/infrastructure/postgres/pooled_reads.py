"""Reading through a pool, in the application's terms."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from send2llm.domain.errors import StoreUnavailable

Result = TypeVar("Result")
Read = Callable[[psycopg.AsyncConnection[Any]], Awaitable[Result]]


async def read(pool: AsyncConnectionPool, work: Read[Result], what: str) -> Result:
    """The result of ``work`` on a connection; ``work`` may run twice. ``what`` is read, for the message.

    Raises ``StoreUnavailable``.
    """
    try:
        try:
            return await _once(pool, work)
        except PoolTimeout:
            raise
        except psycopg.OperationalError:
            # After a restart of the server every idle connection is dead; the pool replaces them when told.
            await pool.check()
            return await _once(pool, work)
    except psycopg.errors.UndefinedTable:
        raise StoreUnavailable(f"There are no tables yet to read {what} from; run `send2llm migrate`.") from None
    except psycopg.OperationalError as error:
        raise StoreUnavailable(
            f"The database does not answer ({type(error).__name__}), so {what} cannot be read. "
            "Try again; `send2llm doctor` checks the database."
        ) from error


async def _once(pool: AsyncConnectionPool, work: Read[Result]) -> Result:
    async with pool.connection() as connection:
        return await work(connection)
