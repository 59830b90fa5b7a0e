"""Fixtures for the event store: recorders on a fresh database, and ways to hold them up and look at them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresDatastore

from send2llm.infrastructure.event_store.group_commit import GroupCommitOptions, GroupCommitRecorder
from send2llm.infrastructure.postgres import ConnectionInfo

MakeRecorder = Callable[..., GroupCommitRecorder]


def datastore_for(database: ConnectionInfo) -> PostgresDatastore:
    return PostgresDatastore(
        database.dbname,
        database.host,
        database.port,
        database.user,
        database.password,
        originator_id_type="text",
        pool_size=1,
        max_overflow=10,
    )


class EventStoreProbe:
    """A session of its own beside the recorders: looks at rows, and holds locks that others wait for."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, parameters or None).fetchall()

    def ids_after(self, position: int) -> list[int]:
        """What a reader sees that follows the events."""
        return [
            row[0]
            for row in self.rows(
                "SELECT notification_id FROM stored_events WHERE notification_id > %s ORDER BY 1", position
            )
        ]

    def wait_until(self, condition: str, *parameters: object, seconds: float = 20) -> None:
        """Look again and again until the condition, an SQL expression, is true."""
        deadline = monotonic() + seconds
        while not self.rows(f"SELECT {condition}", *parameters)[0][0]:
            assert monotonic() < deadline, f"never happened: {condition}"
            self.connection.execute("SELECT pg_sleep(0.002)")

    def wait_for_queue(self, sessions: int = 1) -> None:
        """Wait until that many sessions queue for the lock of the event table."""
        self.wait_until(
            "(SELECT count(*) FROM pg_locks WHERE relation = 'stored_events'::regclass AND NOT granted) = %s",
            sessions,
        )

    @contextmanager
    def table_lock(self) -> Iterator[None]:
        """Keep every writer waiting."""
        with self.connection.transaction():
            self.connection.execute("LOCK TABLE stored_events IN EXCLUSIVE MODE")
            yield


@pytest.fixture
def make_recorder(database: ConnectionInfo) -> Iterator[MakeRecorder]:
    """Makes recorders of one database, each with a writer of its own, as if in several processes."""
    made: list[GroupCommitRecorder] = []

    def make(place: ConnectionInfo = database, **options: Any) -> GroupCommitRecorder:
        recorder = GroupCommitRecorder(datastore_for(place), options=GroupCommitOptions(**options))
        made.append(recorder)
        recorder.create_table()
        return recorder

    yield make
    for recorder in made:
        recorder.close()
        recorder.datastore.close()


@pytest.fixture
def recorder(make_recorder: MakeRecorder) -> GroupCommitRecorder:
    return make_recorder()


@pytest.fixture
def probe(database: ConnectionInfo) -> Iterator[EventStoreProbe]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        yield EventStoreProbe(connection)


@pytest.fixture
def new_events() -> Callable[..., Sequence[StoredEvent]]:
    """Makes events, unlike any others, of a new stream or of the one that is named."""

    def make(
        count: int = 1, *, stream: str | None = None, version: int = 1, topic: str = "test.happened"
    ) -> Sequence[StoredEvent]:
        stream = stream or str(uuid4())
        return [StoredEvent(stream, version + number, topic, uuid4().bytes) for number in range(count)]

    return make
