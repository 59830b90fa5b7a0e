"""A name in the database that is somebody else's stays theirs, whatever projections are begun, rebuilt and swapped."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text
from stage import Builds, Stage

from send2llm.domain.errors import ProjectionViewTaken
from send2llm.infrastructure.projections.shared_names import TABLES_OF_THE_SERVICE
from send2llm.projections import RecordedEvent, copy_rows, table_name
from send2llm.testing.eventually import eventually


class Words:
    """What was said, in one table."""

    topics = frozenset({"conversation.message_added"})

    def __init__(self, name: str, table: str, version: int = 1) -> None:
        self.name = name
        self.version = version
        self.tables = MetaData()
        self.words = Table(table_name(name, version, table), self.tables, Column("word", Text))

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        copy_rows(connection, self.words, [{"word": recorded.event.message.text} for recorded in events])


ONE, OTHER = Words("heard_at", "night_words"), Words("heard_at_night", "words")
VIEW = "heard_at_night_words"
"""As which both would be read."""


def read_as(stage: Stage) -> object:
    """The table that the view leads to."""
    return stage.value("SELECT table_name FROM information_schema.view_table_usage WHERE view_name = %s", VIEW)


def test_whoever_comes_second_stands_still_and_says_why(stage: Stage) -> None:
    stage.say("hello")
    with stage.project(ONE):
        eventually(lambda: stage.caught_up("heard_at"))

    with stage.project(OTHER):
        reason = eventually(lambda: stage.checkpoint("reason", of="heard_at_night"))

    assert f"'{VIEW}'" in reason
    assert read_as(stage) == "heard_at_v1_night_words"


def test_a_table_of_somebody_is_not_taken_for_the_view(stage: Stage) -> None:
    stage.execute(f"CREATE TABLE {VIEW} (word text)")
    stage.say("hello")

    with stage.project(ONE):
        eventually(lambda: stage.checkpoint("reason", of="heard_at"))
        stage.execute(f"DROP TABLE {VIEW}")
        stage.execute("UPDATE projection_checkpoints SET reason = NULL")
        eventually(lambda: stage.caught_up("heard_at"))

    assert stage.rows(f"SELECT word FROM {VIEW}") == [("hello",)]


async def test_a_build_that_would_take_another_ones_name_is_not_swapped_in(stage: Stage, builds: Builds) -> None:
    stage.say("hello")
    renamed = Words("heard_at", "words")
    with stage.project(renamed, OTHER):
        eventually(lambda: stage.caught_up("heard_at") and stage.caught_up("heard_at_night"))

    second = Words("heard_at", "night_words", version=2)
    with stage.project(second, OTHER):
        reason = eventually(lambda: stage.checkpoint("reason", "2.1", of="heard_at"))
        assert f"'{VIEW}'" in reason
    assert read_as(stage) == "heard_at_night_v1_words"
    assert stage.rows("SELECT word FROM heard_at_words") == [("hello",)]

    stage.execute("UPDATE projection_checkpoints SET reason = NULL")
    with pytest.raises(ProjectionViewTaken, match="rename the projection"):
        await builds.swap("heard_at")


def test_all_tables_of_the_service_are_known(stage: Stage) -> None:
    tables = {
        name
        for (name,) in stage.rows(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
    }
    of_projections = {name for name in tables if name.split("_v1_")[0] in ("history", "cost_ledger", "usage", "trail")}
    assert tables - of_projections == TABLES_OF_THE_SERVICE
