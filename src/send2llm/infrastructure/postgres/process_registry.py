"""Which of the processes that make calls are alive.

Each holds an advisory lock, named after it, for as long as it lives. PostgreSQL frees the lock when the
process dies, however it dies, so a dead process never looks alive; a living one whose connection broke looks
dead for the moment until it has connected again.
"""

import threading
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from send2llm.domain.errors import StoreUnavailable
from send2llm.infrastructure.postgres.advisory_locks import HELD_KEYS, advisory_key
from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION, NOTICE_VANISHED_CLIENT
from send2llm.infrastructure.postgres.pooled_reads import read

RECONNECT_SECONDS = 0.25
_LOOK_UP_SECONDS = 0.25  # how long ``stop`` may take to be noticed
_START_SECONDS = 30.0
_APPLICATION_NAME = "send2llm process {}"

log = structlog.get_logger(__name__)


class RegisteredProcess:
    """This process, registered as living from ``start`` to ``stop`` under its ``name``.

    The lock has a connection and a thread of its own. When the connection breaks the lock is taken again.
    """

    def __init__(self, dsn: str, name: str | None = None) -> None:
        self.name = name or str(uuid4())
        """A name that no other process has, ever: it stands in the events of the calls that the process
        makes."""
        self._dsn = dsn
        self._key = advisory_key("process", self.name)
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._held = False
        self._thread = threading.Thread(target=self._run, name="process-registration", daemon=True)

    @property
    def held(self) -> bool:
        """Whether the others can see now that this process lives."""
        return self._held

    def start(self) -> None:
        """Register, before the first call is made. Blocks; raises ``StoreUnavailable`` if it cannot."""
        self._thread.start()
        self._settled.wait(_START_SECONDS)
        if not self._held:
            self.stop()
            raise StoreUnavailable(
                "This process cannot be registered: the database does not answer. Check that it runs and "
                "accepts connections (`send2llm doctor`)."
            )

    def stop(self) -> None:
        """Give the name up: calls that are still open belong to nobody now."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(
                    self._dsn,
                    autocommit=True,
                    application_name=_APPLICATION_NAME.format(self.name[:8]),
                    **LASTING_SESSION,  # type: ignore[arg-type] # libpq's own parameters, beside psycopg's
                ) as connection:
                    self._hold(connection)
            except psycopg.OperationalError as error:
                if self._held or not self._settled.is_set():  # once, not for every try to come back
                    log.warning("process.registration_lost", error=type(error).__name__)
                self._held = False
                self._settled.set()
                self._stop.wait(RECONNECT_SECONDS)
            finally:
                self._held = False

    def _hold(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(NOTICE_VANISHED_CLIENT)
        # The session before this one may not have noticed yet that it is over.
        while not self._take(connection):
            if self._stop.wait(RECONNECT_SECONDS):
                return
        self._held = True
        self._settled.set()
        while not self._stop.is_set():
            # Nobody notifies; this waits on the connection, and raises when it breaks.
            for _ in connection.notifies(timeout=_LOOK_UP_SECONDS):
                pass
        self._held = False
        # PostgreSQL would notice in its own time that the session is over; ``stop`` promises that it has.
        connection.execute("SELECT pg_advisory_unlock(%s)", (self._key,))

    def _take(self, connection: psycopg.Connection[Any]) -> bool:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchone()
        return bool(row and row[0])


class PostgresProcesses:
    """``Processes`` by the locks that they hold."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def is_alive(self, process: str) -> bool:
        row = await read(self._pool, lambda connection: _find(connection, process), "which processes live")
        return bool(row and row[0])


async def _find(connection: psycopg.AsyncConnection[Any], process: str) -> tuple[Any, ...] | None:
    cursor = await connection.execute(
        f"SELECT EXISTS (SELECT FROM ({HELD_KEYS}) AS held WHERE key = %s)",  # noqa: S608 - a constant
        (advisory_key("process", process),),
    )
    return await cursor.fetchone()
