"""Runs all projections of a service, in threads of one process."""

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import NullPool, create_engine

from send2llm.application.projections import Projection
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION
from send2llm.infrastructure.projections.log_pages import EventDecoder, LogPages
from send2llm.infrastructure.projections.runner import ProjectionRunner
from send2llm.infrastructure.projections.timing import Timing
from send2llm.infrastructure.projections.wakeup import Listener

_COLLECT_AFTER = 100_000  # objects
_APPLICATION_NAME = "send2llm projection {}"


class Projector:
    """A runner for each projection, and one listener that wakes them all.

    Give it a process of its own beside the service: its work would take the interpreter from the calls.
    It needs one database connection for each projection, and one more.
    """

    def __init__(
        self,
        database: ConnectionInfo,
        projections: Sequence[Projection],
        decoder: EventDecoder,
        timing: Timing | None = None,
    ) -> None:
        self._database = database
        self._projections = projections
        self._pages = LogPages(decoder)
        self._timing = timing or Timing()

    def run(self, stop: threading.Event) -> None:
        """Block until ``stop`` is set, and until all work in hand is committed or rolled back.

        Called from the main thread it takes the process for its own, and sets the garbage collector accordingly.
        """
        if threading.current_thread() is threading.main_thread():
            _spare_the_collector()
        alarms = [threading.Event() for _ in self._projections]
        listener = Listener(self._database.dsn, self._pages.channel, alarms)
        threads = [threading.Thread(target=listener.run, args=(stop,), name="projections-listener")]
        for projection, alarm in zip(self._projections, alarms, strict=True):
            runner = self._runner(projection, alarm)
            threads.append(threading.Thread(target=runner.run, args=(stop,), name=f"projection-{projection.name}"))
        for thread in threads:
            thread.start()
        try:
            stop.wait()
        finally:
            stop.set()
            for alarm in alarms:
                alarm.set()
            for thread in threads:
                thread.join()

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

    def _runner(self, projection: Projection, alarm: threading.Event) -> ProjectionRunner:
        # No pool: the connection is the lease, and closing it has to give the lease up.
        engine = create_engine(
            self._database.sqlalchemy_url,
            poolclass=NullPool,
            pool_reset_on_return=None,
            hide_parameters=True,
            connect_args={**LASTING_SESSION, "application_name": _APPLICATION_NAME.format(projection.name)},
        )
        return ProjectionRunner(engine, projection, self._pages, alarm, self._timing)


def _spare_the_collector() -> None:
    """Look for garbage rarely: a page is thousands of objects without cycles, and looking at them all costs a fifth."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
