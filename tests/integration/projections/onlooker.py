"""Somebody who looks at what projections do, from outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from send2llm.infrastructure.projections.lease import lease_key


class Onlooker:
    """A connection of the test's own, with the questions that the tests ask.

    Where no projection is named they are about the tally, and where no build is, about its first.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def execute(self, statement: str, *parameters: object) -> None:
        self._connection.execute(statement.encode(), parameters or None)

    def rows(self, statement: str, *parameters: object) -> list[TupleRow]:
        return self._connection.execute(statement.encode(), parameters).fetchall()

    def value(self, statement: str, *parameters: object) -> Any:
        """The first column of the first row, None if there is no row."""
        rows = self.rows(statement, *parameters)
        return rows[0][0] if rows else None

    def checkpoint(self, column: str, build: str = "1.1", of: str = "tally") -> Any:
        """What is kept in a column of the row of a build, None if there is no such build."""
        here = "FROM projection_checkpoints WHERE name = %s AND version || '.' || build = %s"
        return self.value(f"SELECT {column} {here}", of, build)

    def position(self, name: str = "tally", build: str = "1.1") -> int | None:
        return self.checkpoint("position", build, of=name)

    def caught_up(self, name: str = "tally") -> bool:
        return self.position(name) == self.value("SELECT max(notification_id) FROM stored_events")

    def places(self) -> list[str]:
        """The schemas of builds that were begun beside another."""
        return [name for (name,) in self.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", "build_%")]

    def backends(self, application: str) -> list[int]:
        return [
            pid
            for (pid,) in self.rows(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = %s ORDER BY pid",
                application,
            )
        ]

    def runners(self, name: str = "tally") -> list[int]:
        """The backends that work on a build of a projection, or stand by to do so."""
        return self.backends(f"send2llm projection {name}")

    def lease_holder(self) -> int | None:
        """The backend that works on the first build of the tally."""
        return self.value(
            "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory'"
            " AND l.granted AND a.datname = current_database() AND l.database = a.datid"
            " AND (l.classid::bigint << 32) | l.objid::bigint = %s",
            lease_key("tally", 1),
        )

    def somebody_waits(self, kind: str) -> bool:
        """Whether a lock of that kind is waited for in this database."""
        return self.value(
            "SELECT count(*) > 0 FROM pg_locks WHERE locktype = %s AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            kind,
        )

    @contextmanager
    def somebody_works_on(self, build: str) -> Iterator[None]:
        """Another process holds the lease of a build of the tally meanwhile."""
        version, number = map(int, build.split("."))
        with self._lock("%s::bigint", lease_key("tally", version, number)):
            yield

    @contextmanager
    def turn(self) -> Iterator[Callable[[], bool]]:
        """Nobody changes the builds of the tally meanwhile; gives the question whether one that has caught up waits."""
        with self._lock("hashtextextended('send2llm:builds:tally', 0)"):
            yield lambda: self.somebody_waits("advisory")

    @contextmanager
    def _lock(self, key: str, *parameters: object) -> Iterator[None]:
        self.value(f"SELECT pg_advisory_lock({key})", *parameters)
        try:
            yield
        finally:
            self.value(f"SELECT pg_advisory_unlock({key})", *parameters)

    def end(self, *backends: int) -> None:
        for backend in backends:
            self.value("SELECT pg_terminate_backend(%s)", backend)

    def assert_tally_is_exact(self) -> None:
        """Every message was counted once, whatever happened."""
        stored = "SELECT notification_id FROM stored_events WHERE topic = 'conversation.message_added'"
        assert self.rows("SELECT position FROM tally_v1_seen ORDER BY 1") == self.rows(f"{stored} ORDER BY 1")
        assert self.value("SELECT sum(count) FROM tally_v1_counts") == self.value(
            f"SELECT count(*) FROM ({stored}) AS stored"
        )
