"""Word among processes that money is lacking, by PostgreSQL's NOTIFY."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION
from send2llm.infrastructure.postgres.pooled_reads import read

CHANNEL = "send2llm_recalls"

RECONNECT_SECONDS = 1.0
_LOOK_UP_SECONDS = 0.5  # how long ``stop`` may take to be noticed
_APPLICATION_NAME = "send2llm recalls"

log = structlog.get_logger(__name__)


class PostgresRecalls:
    """``Recalls`` by notifications."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def ask(self, budget_id: UUID, period_key: str) -> None:
        async def work(connection: psycopg.AsyncConnection[Any]) -> None:
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"{budget_id} {period_key}"))

        await read(self._pool, work, "who has idle money")


class RecallListener:
    """Calls ``recalled`` whenever a process asks for money of a budget's period, in a thread of its own.

    What is asked for while the connection is down is not heard: idle money goes home by itself, a little later.
    """

    def __init__(self, dsn: str, recalled: Callable[[UUID, str], None]) -> None:
        self._dsn = dsn
        self._recalled = recalled
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="budget-recalls", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more. Blocks for a moment."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except psycopg.OperationalError as error:
                log.warning("recalls.listener_lost", error=type(error).__name__)
                self._stop.wait(RECONNECT_SECONDS)

    def _listen(self) -> None:
        with psycopg.connect(
            self._dsn,
            autocommit=True,
            application_name=_APPLICATION_NAME,
            **LASTING_SESSION,  # type: ignore[arg-type] # libpq's own parameters, beside psycopg's
        ) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            while not self._stop.is_set():
                for notification in connection.notifies(timeout=_LOOK_UP_SECONDS):
                    self._tell(notification.payload)
                    if self._stop.is_set():
                        return

    def _tell(self, payload: str) -> None:
        budget_id, _, period_key = payload.partition(" ")
        try:
            self._recalled(UUID(budget_id), period_key)
        except ValueError:
            log.warning("recalls.not_understood")
