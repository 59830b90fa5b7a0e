"""What the tests of projections share: a pace, and a look at what was done."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
from psycopg.rows import TupleRow

from send2llm.infrastructure.projections.lease import lease_key
from send2llm.infrastructure.projections.timing import Timing

QUICK = Timing(page_size=10, poll=0.05, linger=0.0, shortest_backoff=0.02, longest_backoff=0.1)

Project = Callable[..., AbstractContextManager[None]]


class Onlooker:
    """A connection of the test's own, with the questions that the tests ask."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self.connection = connection

    def rows(self, statement: str, *parameters: object) -> list[TupleRow]:
        return self.connection.execute(statement.encode(), parameters).fetchall()

    def value(self, statement: str, *parameters: object) -> object:
        rows = self.rows(statement, *parameters)
        return rows[0][0] if rows else None

    def position(self, name: str = "tally") -> int | None:
        return self.value("SELECT position FROM projection_checkpoints WHERE name = %s", name)

    def caught_up(self, name: str = "tally") -> bool:
        return self.position(name) == self.value("SELECT max(notification_id) FROM stored_events")

    def backends(self, application: str) -> list[int]:
        return [
            pid
            for (pid,) in self.rows(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = %s ORDER BY pid",
                application,
            )
        ]

    def lease_holder(self) -> int | None:
        """The backend that works on the first build of the tally."""
        return self.value(
            "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory'"
            " AND l.granted AND a.datname = current_database() AND l.database = a.datid"
            " AND (l.classid::bigint << 32) | l.objid::bigint = %s",
            lease_key("tally", 1),
        )

    @contextmanager
    def turn(self) -> Iterator[Callable[[], bool]]:
        """Nobody changes the builds of the tally meanwhile; gives the question whether one that has caught up waits."""
        waiting = (
            "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        turn = "hashtextextended('send2llm:builds:tally', 0)"
        self.value(f"SELECT pg_advisory_lock({turn})")
        try:
            yield lambda: bool(self.value(waiting))
        finally:
            self.value(f"SELECT pg_advisory_unlock({turn})")

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
