"""What ``send2llm.testing.projections`` gives to tests of projections: a fold's rows, or what it raised."""

from collections.abc import Sequence

import psycopg
import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text

from send2llm.domain.conversation_events import ConversationEvent
from send2llm.projections import RecordedEvent, copy_rows, table_name
from send2llm.testing.postgres import TestDatabaseServer
from send2llm.testing.projections import answered, folded


class Models:
    """Which models answered, unless one of them is unheard of."""

    name = "models"
    version = 1
    topics = frozenset({"conversation.completion_received"})
    reads_texts = False
    tables = MetaData()
    heard = Table(table_name(name, version, "heard"), tables, Column("model", Text, nullable=False))

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        if any(recorded.event.model == "unheard-of" for recorded in events):
            raise ValueError("unheard of")
        copy_rows(connection, self.heard, [{"model": recorded.event.model} for recorded in events])


HEARD = "SELECT model FROM models_heard ORDER BY 1"


def test_a_test_that_fails_leaves_the_next_one_alone(postgres_server: TestDatabaseServer) -> None:
    databases = _names(postgres_server)
    with pytest.raises(AssertionError, match="failed at event 1: ValueError: unheard of"):
        _look_for("a", answered("unheard-of"))
    with pytest.raises(AssertionError, match="found"):
        _look_for("a", answered("b"))
    with folded(Models(), answered("b")) as rows:
        assert rows(HEARD) == [("b",)]
    assert _names(postgres_server) == databases


def test_two_can_be_looked_at_together() -> None:
    with folded(Models(), answered("a")) as some, folded(Models(), answered("b"), answered("c")) as others:
        assert some(HEARD) == [("a",)]
        assert others(HEARD) == [("b",), ("c",)]


def test_where_nothing_happened_there_are_no_rows() -> None:
    with folded(Models()) as rows:
        assert rows(HEARD) == []


def _look_for(model: str, *events: ConversationEvent) -> None:
    with folded(Models(), *events) as rows:
        found = rows(HEARD)
        assert found == [(model,)], "found"


def _names(server: TestDatabaseServer) -> set[str]:
    """The databases of this process."""
    database = server.create_database()
    try:
        with psycopg.connect(database.dsn) as connection:
            mine = database.dbname.rpartition("_")[0] + "_%"
            found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (mine,))
            return {name for (name,) in found} - {database.dbname}
    finally:
        server.drop(database)
