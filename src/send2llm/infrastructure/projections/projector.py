"""Runs all projections of a service, in threads of one process."""

import gc
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy import NullPool, create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from send2llm.application.projections import Projection
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION
from send2llm.infrastructure.projections.abandoned_builds import remove_abandoned
from send2llm.infrastructure.projections.checkpoints import WORKED_ON, BuildKey, checkpoints
from send2llm.infrastructure.projections.failures import reason_of
from send2llm.infrastructure.projections.log_pages import EventDecoder, LogPages
from send2llm.infrastructure.projections.runner import ProjectionRunner
from send2llm.infrastructure.projections.runner_threads import RunnerThreads
from send2llm.infrastructure.projections.timing import Timing
from send2llm.infrastructure.projections.wakeup import Listener

log = structlog.get_logger(__name__)

_KEY = (checkpoints.c.name, checkpoints.c.version, checkpoints.c.build, checkpoints.c.place)
_COLLECT_AFTER = 100_000  # objects
_APPLICATION_NAME = "send2llm projection {}"


class Projector:
    """A runner for each projection, and one listener that wakes them all.

    Give it a process of its own beside the service: its work would take the interpreter from the calls.
    It needs one database connection for each build of a projection, and two more.
    """

    def __init__(
        self,
        database: ConnectionInfo,
        projections: Sequence[Projection],
        decoder: EventDecoder,
        timing: Timing | None = None,
    ) -> None:
        self._database = database
        self._projections = {(projection.name, projection.version): projection for projection in projections}
        self._overseer = create_engine(database.sqlalchemy_url, poolclass=NullPool, hide_parameters=True)
        self._pages = LogPages(decoder)
        self._timing = timing or Timing()

    def run(self, stop: threading.Event) -> None:
        """Block until ``stop`` is set, and until all work in hand is committed or rolled back.

        Called from the main thread it takes the process for its own, and sets the garbage collector accordingly.
        """
        if threading.current_thread() is threading.main_thread():
            _spare_the_collector()
        runners = RunnerThreads(self._runner, stop)
        listener = Listener(self._database.dsn, self._pages.channel, runners.wake)
        listening = threading.Thread(target=listener.run, args=(stop,), name="projections-listener")
        listening.start()
        tidied = time.monotonic()
        try:
            while True:
                runners.keep(self._wanted())
                if time.monotonic() >= tidied + self._timing.tidy:
                    self._tidy_up()
                    tidied = time.monotonic()
                if stop.wait(self._timing.poll):
                    return
        finally:
            stop.set()
            runners.end()
            listening.join()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run in the background for as long as the ``with`` block lasts."""
        stop = threading.Event()
        thread = threading.Thread(target=self.run, args=(stop,), name="projector")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _wanted(self) -> Sequence[BuildKey]:
        """The builds that this process can work on: the first of each projection, and those that were begun since."""
        first = {(name, version): BuildKey(name, version) for name, version in self._projections}
        try:
            with self._overseer.begin() as connection:
                begun = connection.execute(select(*_KEY).where(checkpoints.c.role.in_(WORKED_ON))).all()
        except SQLAlchemyError as error:  # the runners wait for the database by themselves
            log.debug("projector.builds_unknown", error=type(error).__name__)
            begun = []
        known = [BuildKey(*row) for row in begun if (row.name, row.version) in first]
        return list(dict.fromkeys([*known, *self._not_begun(first.values(), begun)]))

    @staticmethod
    def _not_begun(first: Iterable[BuildKey], begun: Sequence[Any]) -> Iterator[BuildKey]:
        """First builds of versions that are newer than any that there is."""
        newest: dict[str, int] = {}
        for row in begun:
            newest[row.name] = max(row.version, newest.get(row.name, 0))
        return (key for key in first if key.version > newest.get(key.name, 0))

    def _tidy_up(self) -> None:
        try:
            remove_abandoned(self._overseer)
        except Exception as error:  # noqa: BLE001 - a supervisor: another time will do
            log.info("projector.not_tidied", reason=reason_of(error))

    def _runner(self, key: BuildKey, alarm: threading.Event) -> ProjectionRunner:
        projection = self._projections[key.name, key.version]
        # No pool: the connection is the lease, and closing it has to give the lease up.
        engine = create_engine(
            self._database.sqlalchemy_url,
            poolclass=NullPool,
            pool_reset_on_return=None,
            hide_parameters=True,
            connect_args={**LASTING_SESSION, "application_name": _APPLICATION_NAME.format(projection.name)},
        )
        return ProjectionRunner(engine, projection, key, self._pages, alarm, self._timing)


def _spare_the_collector() -> None:
    """Look for garbage rarely: a page is thousands of objects without cycles, and looking at them all costs a fifth."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
