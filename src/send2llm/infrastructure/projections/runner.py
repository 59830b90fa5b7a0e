"""Keeps one projection up to date."""

import threading
import time

import structlog
from sqlalchemy import Connection, Engine, text

from send2llm.application.projections import Projection
from send2llm.infrastructure.postgres.lasting_sessions import NOTICE_VANISHED_CLIENT
from send2llm.infrastructure.projections.arrival import Arrival, LastEventsFailed
from send2llm.infrastructure.projections.builds import ensure_build
from send2llm.infrastructure.projections.checkpoints import BuildKey
from send2llm.infrastructure.projections.failures import is_passing, raised_by, reason_of
from send2llm.infrastructure.projections.folded_pages import FoldedPages
from send2llm.infrastructure.projections.lease import take_lease
from send2llm.infrastructure.projections.log_pages import LogPages
from send2llm.infrastructure.projections.page_size import PageSize
from send2llm.infrastructure.projections.runner_checkpoint import BuildIsPaused, Checkpoint, CheckpointMoved
from send2llm.infrastructure.projections.setbacks import Setbacks
from send2llm.infrastructure.projections.table_creation import create_tables
from send2llm.infrastructure.projections.timing import Timing

# A commit that a crash of the server takes back takes the position back too, and is done again: nothing is
# lost by not waiting for the disk, and the writers of events have the disk to themselves.
_SESSION = text(f"SET synchronous_commit = off; {NOTICE_VANISHED_CLIENT}")

# The tables of a build in a place of its own are found there before those of the same names in the usual one.
_AT_ITS_PLACE = text(
    "SELECT set_config('search_path', quote_ident(:place) || ', ' || current_setting('search_path'), false)"
)

log = structlog.get_logger(__name__)


class ProjectionRunner:
    """Reads pages of the log, folds them, and commits rows and position together.

    Any number of processes may run one for the same build of a projection: one is active, the others stand by. It
    runs in a thread of its own, until it is told to stop or the build is gone. ``alarm`` is set by whoever knows of
    new events; without it the runner looks for itself.
    """

    def __init__(
        self,
        engine: Engine,
        projection: Projection,
        key: BuildKey,
        pages: LogPages,
        alarm: threading.Event,
        timing: Timing,
    ) -> None:
        self._engine = engine
        self._projection = projection
        self._pages = pages
        self._alarm = alarm
        self._timing = timing
        self._key = key
        self._checkpoint = Checkpoint(key)
        self._folded = FoldedPages(projection, self._checkpoint, pages)
        self._arrival = Arrival(projection, self._checkpoint, pages)
        self._setbacks = Setbacks(engine, self._checkpoint, timing)
        self._log = log.bind(projection=key.name, version=key.version, build=key.build)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. To end a wait at once, set the alarm after ``stop``."""
        while not stop.is_set():
            try:
                with self._engine.connect() as connection:
                    if self._take_turn(connection, stop):
                        return
            except Exception as error:  # noqa: BLE001 - a supervisor: whatever it was, the projection must go on
                retry_in = self._setbacks.add(error)
                self._log.warning("projection.interrupted", reason=reason_of(error), retry_in=retry_in)
                stop.wait(retry_in)

    def _take_turn(self, connection: Connection, stop: threading.Event) -> bool:
        """Wait for the lease, then work for as long as the session lasts; whether the build has come to its end."""
        with connection.begin():
            connection.execute(_SESSION)
            if self._key.place is not None:
                connection.execute(_AT_ITS_PLACE, {"place": self._key.place})
            elif self._key.build == 1:
                ensure_build(connection, self._projection)
        while not take_lease(connection, self._key):
            if stop.wait(self._timing.poll):
                return True
        if self._is_done(connection):
            return True  # another runner came to its end, or somebody dropped it
        with connection.begin():
            position = self._checkpoint.begin(connection)
            if not self._setbacks.told:
                self._checkpoint.forget_failure(connection)
            self._folded.learn_left_out(connection)
        self._log.info("projection.running", position=position)
        self._create_tables(connection, stop)
        return self._follow(connection, position, stop)

    def _is_done(self, connection: Connection) -> bool:
        """Whether nobody is to work on the build: it was dropped, or compared."""
        with connection.begin():
            return not self._checkpoint.is_worked_on(connection)

    def _create_tables(self, connection: Connection, stop: threading.Event) -> None:
        """Those that are not there yet: a migration makes those of the first build of a built-in projection."""
        while not stop.is_set():
            try:
                with connection.begin():
                    create_tables(connection, self._projection, self._key)
            except Exception as error:  # tables that cannot be made stop only their projection
                if is_passing(error):
                    raise
                if self._is_done(connection):
                    return  # with its place; whoever goes on sees that there is nothing more to do
                self._stand_still(connection, error, None, stop)
            else:
                return

    def _follow(self, connection: Connection, position: int, stop: threading.Event) -> bool:
        """Fold page after page. When a page fails, ever smaller ones find the event that is at fault."""
        size = PageSize(self._timing.page_size)
        while not stop.is_set():
            began, limit = time.monotonic(), size.limit
            self._alarm.clear()
            try:
                page = self._folded.advance(connection, position, limit)
            except BuildIsPaused:
                if self._stand_by(connection, stop):
                    return True
                continue
            except Exception as error:  # a fold is anybody's code
                if is_passing(error) or isinstance(error, CheckpointMoved):
                    raise
                if self._is_done(connection):
                    return True  # with its tables, in the middle of a page
                if limit == 1:
                    self._stand_still(connection, error, position, stop)
                size.failed()
                continue
            position = page.last
            size.done(page.count, time.monotonic() - began)
            if page.count < limit:
                arrived = self._arrive(connection, position, stop)
                if arrived is None:
                    return True
                position = arrived
                self._setbacks.overcome(connection)
                self._rest(began, stop)
            else:
                self._setbacks.overcome(connection)
        return True

    def _arrive(self, connection: Connection, position: int, stop: threading.Event) -> int | None:
        """Do what is to be done at the end of the log; the position then, ``None`` if that was the last thing to do."""
        try:
            return self._arrival.at_the_end(connection, position)
        except (BuildIsPaused, LastEventsFailed):  # as what is folded next will show
            return position
        except Exception as error:  # tables are anybody's
            if is_passing(error) or isinstance(error, CheckpointMoved):
                raise
            if self._is_done(connection):
                return None
            self._stand_still(connection, error, None, stop)
            return position

    def _stand_by(self, connection: Connection, stop: threading.Event) -> bool:
        """Wait for as long as the build is paused; whether there is nothing more to do."""
        self._log.info("projection.paused")
        while not stop.wait(self._timing.poll):
            with connection.begin():
                if not self._checkpoint.paused(connection):
                    self._log.info("projection.resumed")
                    return False
        return True

    def _rest(self, began: float, stop: threading.Event) -> None:
        """Wait for events. Those that come thick and fast are taken together: commits cost writers too."""
        self._alarm.wait(self._timing.poll)
        stop.wait(max(0.0, began + self._timing.linger - time.monotonic()))
        self._folded.pause()

    def _stand_still(
        self, connection: Connection, error: Exception, position: int | None, stop: threading.Event
    ) -> None:
        """Record the failure and wait until somebody says that it is worth another try."""
        with connection.begin():
            culprit = None if position is None else self._pages.first_after(connection, position)
            self._checkpoint.lock(connection)
            if self._folded.learn_left_out(connection) and culprit in self._folded.left_out:
                return  # while it failed there; whoever decided that saw no failure of this build to take away
            self._checkpoint.fail(connection, reason_of(error), culprit)
        self._log.error("projection.failed", error=type(raised_by(error)).__name__, position=culprit)
        while not stop.wait(self._timing.poll):
            with connection.begin():
                if not self._checkpoint.failed(connection):
                    self._folded.learn_left_out(connection)
                    self._log.info("projection.retried", position=culprit)
                    return
