"""What passes by itself, and may come back all the same: people are told when another try does not help."""

import psycopg
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from send2llm.infrastructure.projections.failures import reason_of
from send2llm.infrastructure.projections.lease import nobody_works_on
from send2llm.infrastructure.projections.runner_checkpoint import Checkpoint
from send2llm.infrastructure.projections.timing import Timing

UNTOLD = 5
"""Tries of the same page after which the reason is in the status."""

log = structlog.get_logger(__name__)


class Setbacks:
    """Those of one build, since it went on the last time."""

    def __init__(self, engine: Engine, checkpoint: Checkpoint, timing: Timing) -> None:
        self._engine = engine
        self._checkpoint = checkpoint
        self._timing = timing
        self._count = 0
        self._backoff = timing.shortest_backoff
        self.told = False
        """Whether the status has the reason of one."""

    def add(self, error: Exception) -> float:
        """Take note of one, after its session has ended; gives the seconds until another try."""
        self._count += 1
        if self._count >= UNTOLD:
            self._tell(error)
        wait, self._backoff = self._backoff, min(2 * self._backoff, self._timing.longest_backoff)
        return wait

    def overcome(self, connection: Connection) -> None:
        """The build has gone on: there was none."""
        if self.told:
            with connection.begin():
                self._checkpoint.forget_failure(connection)
        self._count, self._backoff, self.told = 0, self._timing.shortest_backoff, False

    def _tell(self, error: Exception) -> None:
        """Let the status say why the build does not go on, unless another process has taken over."""
        reason = f"{reason_of(error)} (tried {self._count} times; it is tried again)"
        try:
            with self._engine.begin() as connection:
                if nobody_works_on(connection, self._checkpoint.key):
                    self._checkpoint.fail(connection, reason, None)
                    self.told = True
        except (SQLAlchemyError, psycopg.Error) as unreachable:
            log.debug("projection.setback_untold", error=type(unreachable).__name__)
