"""Wakes the runners when events are stored.

A notification is a hint that makes things quick, not what they rely on: runners look again by themselves
after a while. So what is lost while the listening connection is down costs that while, and no more.
"""

import threading
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql

from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION

RECONNECT_SECONDS = 1.0
_LOOK_UP_SECONDS = 0.5  # how long a stopping listener may take to notice
_APPLICATION_NAME = "send2llm projections listener"

log = structlog.get_logger(__name__)


class Listener:
    """Calls ``wake`` after each commit of events, from one connection that waits for notifications."""

    def __init__(self, dsn: str, channel: str, wake: Callable[[], None]) -> None:
        self._dsn = dsn
        self._listen = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
        self._wake = wake

    def run(self, stop: threading.Event) -> None:
        """Listen until told to stop; a connection that is lost is made again."""
        while not stop.is_set():
            try:
                self._listen_until(stop)
            except psycopg.OperationalError as error:
                log.warning("projections.listener_lost", error=type(error).__name__)
                stop.wait(RECONNECT_SECONDS)

    def _listen_until(self, stop: threading.Event) -> None:
        with psycopg.connect(
            self._dsn,
            autocommit=True,
            application_name=_APPLICATION_NAME,
            **LASTING_SESSION,  # type: ignore[arg-type] # libpq's own parameters, beside psycopg's
        ) as connection:
            connection.execute(self._listen)
            # What was stored before the LISTEN was not heard.
            self._wake()
            while not stop.is_set():
                for _ in connection.notifies(timeout=_LOOK_UP_SECONDS, stop_after=1):
                    self._wake()
