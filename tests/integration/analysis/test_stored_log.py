"""Reading the event table for an export, on a database that goes away."""

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from stored_calls import KEYS, Asking

from send2llm.domain.errors import StoreUnavailable
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.postgres import ConnectionInfo

READS: dict[str, Callable[[StoredLog], object]] = {
    "pages": lambda log: list(log.pages(0)),
    "an event": lambda log: log.event_at(1),
    "keys": lambda log: log.keys_of(["conversation-1"]),
    "a stream": lambda log: list(log.stream("conversation-1", 3)),
    "a seal": lambda log: log.seal(1),
    "seals": lambda log: log.seals(0, 9),
}


def cut(database: ConnectionInfo) -> None:
    """End all connections to the database, as a restart of its server does."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_database_that_goes_away_is_told(
    migrated: ConnectionInfo, ask: Asking, read: Callable[[StoredLog], object], caplog: pytest.LogCaptureFixture
) -> None:
    ask("one")
    with closing(StoredLog(migrated, KEYS)) as log:
        read(log)
        cut(migrated)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"send2llm doctor.*goes on where it was"):
                read(log)
    assert not caplog.records


def test_a_database_without_tables_is_told(database: ConnectionInfo) -> None:
    with pytest.raises(StoreUnavailable, match="send2llm migrate"):
        StoredLog(database, KEYS)


def test_a_database_that_there_is_not_is_told(database: ConnectionInfo) -> None:
    with pytest.raises(StoreUnavailable, match="send2llm doctor"):
        StoredLog(database.with_database("no_such_database"), KEYS)
