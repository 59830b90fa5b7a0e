"""``ProjectionBuilds`` on PostgreSQL: changes rows that runners, wherever they are, look at all the time."""

import asyncio
from collections.abc import Callable, Collection
from typing import TypeVar

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from send2llm.application.projections import BuildName, ProjectionStatus, ProjectionStatuses
from send2llm.domain.errors import DatabaseRightMissing, ProjectionConflict, StoreUnavailable
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.projections import builds, failed_builds, removal, swaps
from send2llm.infrastructure.relay.names import RELAYS

T = TypeVar("T")

_NO_BUILDS = "{} is a relay, no projection, and has no builds; what there is for it is pause, resume, retry and skip."
_POSITION_IS_KEPT = (
    "{0} is a relay: a relay that forgot its position would hand on all events again, from the first. If that is "
    "wanted, or it will never run again, stop it and run in the database: "
    "DELETE FROM projection_checkpoints WHERE name = '{0}'"
)
_OWN = "It has to own the tables and views of projections, as it does of those that it has made."

_LOCKED = "55P03"  # lock_not_available
_DEADLOCK = "40P01"  # deadlock_detected

TRIES = 3
"""How often a command is begun that meets a runner at the same tables in the other order."""


class PostgresProjectionBuilds:
    """Each command is a transaction on a connection of its own: they are rare."""

    def __init__(
        self, database: ConnectionInfo, statuses: ProjectionStatuses, indispensable: Collection[str] = ()
    ) -> None:
        """``indispensable`` are the names of projections that are never removed: the service reads them itself."""
        self._indispensable = frozenset(indispensable)
        self._engine = create_engine(database.sqlalchemy_url, poolclass=NullPool, hide_parameters=True)
        self._statuses = statuses

    async def rebuild(self, name: str) -> ProjectionStatus:
        _refuse_relay(name)
        return await self._done(name, lambda connection: builds.begin_build(connection, name, "building"))

    async def verify(self, name: str) -> ProjectionStatus:
        _refuse_relay(name)
        return await self._done(name, lambda connection: builds.begin_build(connection, name, "verifying"))

    async def swap(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        _refuse_relay(name)
        return await self._done(name, lambda connection: swaps.swap(connection, name, build))

    async def rollback(self, name: str) -> ProjectionStatus:
        _refuse_relay(name)
        return await self._done(name, lambda connection: swaps.rollback(connection, name))

    async def drop(self, name: str, build: BuildName) -> None:
        _refuse_relay(name)
        await self._do(lambda connection: builds.drop(connection, name, build))

    async def remove(self, name: str) -> None:
        if name in self._indispensable:
            raise ProjectionConflict(f"The service itself reads {name}; what can be dropped are single builds.")
        if name in RELAYS:
            raise ProjectionConflict(_POSITION_IS_KEPT.format(name))
        await self._do(lambda connection: removal.remove_projection(connection, name))

    async def pause(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        return await self._done(name, lambda connection: builds.set_paused(connection, name, build, paused=True))

    async def resume(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        return await self._done(name, lambda connection: builds.set_paused(connection, name, build, paused=False))

    async def retry(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        return await self._done(name, lambda connection: failed_builds.retry(connection, name, build))

    async def skip(self, name: str, position: int, actor: str, build: BuildName | None = None) -> ProjectionStatus:
        return await self._done(name, lambda connection: failed_builds.skip(connection, name, position, actor, build))

    async def _done(self, name: str, change: Callable[[Connection], BuildName]) -> ProjectionStatus:
        """Make the change, and tell how the build stands that it was made to."""
        changed = await self._do(change)
        for status in await self._statuses.all():
            if (status.name, status.version, status.build) == (name, changed.version, changed.build):
                return status
        raise ProjectionConflict(f"The build {changed} of {name} was dropped by somebody else.")

    async def _do(self, change: Callable[[Connection], T]) -> T:
        def work() -> T:
            with self._engine.begin() as connection:
                return change(connection)

        tries = TRIES
        while True:
            try:
                return await asyncio.to_thread(work)
            except OperationalError as error:
                tries -= 1
                state = getattr(error.orig, "sqlstate", None)
                if state == _DEADLOCK and tries:
                    continue  # with a runner, which goes on meanwhile
                if state in (_LOCKED, _DEADLOCK):
                    raise ProjectionConflict("Somebody reads these tables for long; try again later.") from None
                raise StoreUnavailable("The database cannot be reached; nothing was changed.") from None
            except ProgrammingError as error:
                if not isinstance(error.orig, InsufficientPrivilege):
                    raise
                refused = error.orig.diag.message_primary or "permission denied"
                raise DatabaseRightMissing(refused, _OWN) from None


def _refuse_relay(name: str) -> None:
    """Its row stands beside those of the projections, and looks like one."""
    if name in RELAYS:
        raise ProjectionConflict(_NO_BUILDS.format(name))
