"""The sealed log as PostgreSQL has it."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from send2llm.application.log_verification import LogVerification, Progress, verify_log
from send2llm.domain.errors import StoreUnavailable
from send2llm.domain.log_seals import Seal
from send2llm.infrastructure.analysis.stored_states import occurred_at
from send2llm.infrastructure.log_seals.raw_events import all_raw_events
from send2llm.infrastructure.log_seals.signing import is_signed
from send2llm.infrastructure.log_seals.tables import all_seals, seals_after
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo

T = TypeVar("T")

_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class PostgresSeals:
    """``SealedLog``; what reads the whole log does so on a connection of its own, in a thread."""

    def __init__(self, database: ConnectionInfo) -> None:
        self._engine = create_engine(database.sqlalchemy_url, poolclass=NullPool, hide_parameters=True)

    async def seals(self, after: int = 0) -> Sequence[Seal]:
        return await self._read(lambda connection: seals_after(connection, after))

    async def verify(
        self,
        *,
        trusted: Collection[bytes] = (),
        kept: Sequence[Seal] = (),
        progress: Progress = lambda _done, _all: None,
    ) -> LogVerification:
        loop = asyncio.get_running_loop()

        def told(done: int, total: int) -> None:
            loop.call_soon_threadsafe(progress, done, total)

        def work(connection: Connection) -> LogVerification:
            events, seals = all_raw_events(connection), all_seals(connection)
            return verify_log(events, seals, is_signed, trusted=trusted, kept=kept, time_of=occurred_at, progress=told)

        return await self._read(work)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        def read() -> T:
            with self._engine.begin() as connection:
                connection.execute(_ONE_MOMENT)
                return work(connection)

        try:
            return await asyncio.to_thread(read)
        except OperationalError:
            raise StoreUnavailable("The database cannot be reached, so the log cannot be verified.") from None
