"""The sealed log as PostgreSQL has it."""

import asyncio
from collections.abc import Collection, Sequence

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from send2llm.application.log_verification import LogVerification, Progress, SealPage
from send2llm.domain.errors import StoreUnavailable, VerificationInProgress
from send2llm.domain.log_seals import Seal
from send2llm.infrastructure.log_seals.tables import page_of_seals
from send2llm.infrastructure.log_seals.verifying import verify_apart
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo


class PostgresSeals:
    """``SealedLog``; each reading is on a connection of its own, and verification in a process of its own."""

    def __init__(self, database: ConnectionInfo) -> None:
        self._database = database
        self._engine = create_engine(database.sqlalchemy_url, poolclass=NullPool, hide_parameters=True)
        self._verifying = False

    async def seals(self, after: int, limit: int, *, last: int | None = None, links: bool = False) -> SealPage:
        def read() -> SealPage:
            with self._engine.begin() as connection:
                found = page_of_seals(connection, after, limit + 1, last=last, links=links)
            return SealPage(found[:limit], len(found) > limit)

        try:
            return await asyncio.to_thread(read)
        except OperationalError:
            raise StoreUnavailable("The database cannot be reached, so its seals cannot be read.") from None

    async def verify(
        self,
        *,
        trusted: Collection[bytes] = (),
        kept: Sequence[Seal] = (),
        progress: Progress = lambda _done, _all: None,
    ) -> LogVerification:
        if self._verifying:  # another process of the service finds out in the database
            raise VerificationInProgress
        self._verifying = True
        try:
            return await verify_apart(self._database, trusted, kept, progress)
        finally:
            self._verifying = False
