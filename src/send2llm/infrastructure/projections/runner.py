"""Keeps one projection up to date."""

import threading
import time

import structlog
from sqlalchemy import Connection, Engine, text

from send2llm.application.projections import Projection
from send2llm.infrastructure.postgres.lasting_sessions import NOTICE_VANISHED_CLIENT
from send2llm.infrastructure.projections.checkpoints import Checkpoint, CheckpointMoved
from send2llm.infrastructure.projections.failures import is_passing, reason_of
from send2llm.infrastructure.projections.lease import take_lease
from send2llm.infrastructure.projections.log_pages import LogPage, LogPages
from send2llm.infrastructure.projections.pace import Pace
from send2llm.infrastructure.projections.timing import Timing

# A commit that a crash of the server takes back takes the position back too, and is done again: nothing is
# lost by not waiting for the disk, and the writers of events have the disk to themselves.
_SESSION = text(f"SET synchronous_commit = off; {NOTICE_VANISHED_CLIENT}")

log = structlog.get_logger(__name__)


class ProjectionRunner:
    """Reads pages of the log, folds them, and commits rows and position together.

    Any number of processes may run one for the same projection: one is active, the others stand by. It runs
    in a thread of its own. ``alarm`` is set by whoever knows of new events; without it the runner looks for
    itself.
    """

    def __init__(
        self, engine: Engine, projection: Projection, pages: LogPages, alarm: threading.Event, timing: Timing
    ) -> None:
        self._engine = engine
        self._projection = projection
        self._pages = pages
        self._alarm = alarm
        self._timing = timing
        self._topics = sorted(projection.topics)
        self._checkpoint = Checkpoint(projection)
        self._pace = Pace()
        self._backoff = timing.shortest_backoff
        self._log = log.bind(projection=projection.name, version=projection.version)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. To end a wait at once, set the alarm after ``stop``."""
        while not stop.is_set():
            try:
                with self._engine.connect() as connection:
                    self._take_turn(connection, stop)
            except Exception as error:  # noqa: BLE001 - a supervisor: whatever it was, the projection must go on
                self._log.warning("projection.interrupted", reason=reason_of(error), retry_in=self._backoff)
                stop.wait(self._backoff)
                self._backoff = min(2 * self._backoff, self._timing.longest_backoff)

    def _take_turn(self, connection: Connection, stop: threading.Event) -> None:
        """Wait for the lease, then work for as long as the session lasts."""
        with connection.begin():
            connection.execute(_SESSION)
        while not take_lease(connection, self._projection):
            if stop.wait(self._timing.poll):
                return
        with connection.begin():
            position = self._checkpoint.begin(connection)
        self._log.info("projection.running", position=position)
        self._create_tables(connection, stop)
        self._follow(connection, position, stop)

    def _create_tables(self, connection: Connection, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                with connection.begin():
                    self._projection.tables.create_all(connection)
            except Exception as error:  # tables that cannot be made stop only their projection
                if is_passing(error):
                    raise
                self._stand_still(connection, error, None, stop)
            else:
                return

    def _follow(self, connection: Connection, position: int, stop: threading.Event) -> None:
        """Fold page after page. When a page fails, ever smaller ones find the event that is at fault."""
        limit = self._timing.page_size
        while not stop.is_set():
            began = time.monotonic()
            self._alarm.clear()
            try:
                page = self._advance(connection, position, limit)
            except Exception as error:  # a fold is anybody's code
                if is_passing(error) or isinstance(error, CheckpointMoved):
                    raise
                if limit == 1:
                    self._stand_still(connection, error, position, stop)
                limit = max(limit // 2, 1)
                continue
            position = page.last
            self._backoff = self._timing.shortest_backoff
            if page.count < limit:
                self._rest(began, stop)
                limit = self._timing.page_size
            else:
                limit = min(2 * limit, self._timing.page_size)

    def _advance(self, connection: Connection, position: int, limit: int) -> LogPage:
        with connection.begin():
            page = self._pages.read(connection, position, limit, self._topics)
            if page.events:
                self._projection.fold(page.events, connection)
            if page.count:
                self._checkpoint.advance(connection, position, page.last, self._pace.after(page.count))
        return page

    def _rest(self, began: float, stop: threading.Event) -> None:
        """Wait for events. Those that come thick and fast are taken together: commits cost writers too."""
        self._alarm.wait(self._timing.poll)
        stop.wait(max(0.0, began + self._timing.linger - time.monotonic()))
        self._pace.rest()

    def _stand_still(
        self, connection: Connection, error: Exception, position: int | None, stop: threading.Event
    ) -> None:
        """Record the failure and wait until somebody says that it is worth another try."""
        with connection.begin():
            culprit = None if position is None else self._pages.first_after(connection, position)
            self._checkpoint.fail(connection, reason_of(error), culprit)
        self._log.error("projection.failed", error=type(error).__name__, position=culprit)
        while not stop.wait(self._timing.poll):
            with connection.begin():
                if not self._checkpoint.failed(connection):
                    self._log.info("projection.retried", position=culprit)
                    return
