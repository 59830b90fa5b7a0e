"""The history, folded by the runner: the same whatever way it came about."""

from collections.abc import Callable, Iterator
from random import Random
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import TupleRow

from send2llm.domain.conversation_events import (
    CompletionInterrupted,
    ConversationClosed,
    ConversationErased,
    ConversationStarted,
    FeedbackGiven,
)
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.timing import Timing
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.history_tables import metadata
from send2llm.testing.event_writer import EventWriter, received, requested, said, turn
from send2llm.testing.eventually import eventually

TABLES = sorted(metadata.tables)


def test_it_folds_every_event_of_a_conversation() -> None:
    conversations = {kind.topic for kind in EventRegistry.default() if kind.topic.startswith("conversation.")}
    assert set(HistoryProjection.topics) == conversations


@pytest.fixture
def writer(migrated: ConnectionInfo) -> Iterator[EventWriter]:
    with EventWriter(migrated, TextKeys.generate()) as writer:
        yield writer


@pytest.mark.parametrize("page_size", [1, 13, 1000])
def test_a_rebuild_from_zero_equals_what_grew_live(
    migrated: ConnectionInfo, writer: EventWriter, page_size: int
) -> None:
    """Also of what was erased, which the one has seen and the other has not."""

    def run(size: int, work: Callable[[], None] = lambda: None) -> None:
        timing = Timing(page_size=size, poll=0.05, linger=0.0)
        with (
            Projector(migrated, [HistoryProjection()], writer.codec, timing).running(),
            psycopg.connect(migrated.dsn, autocommit=True) as onlooker,
        ):
            work()
            eventually(lambda: _caught_up(onlooker), 60)

    run(1000, lambda: _live(writer, Random(page_size)))
    grown = _dump(migrated)
    assert all(grown.values())
    told = str(grown["history_v1_messages"] + grown["history_v1_feedback"])
    assert "erased" in told
    assert "question" in told
    assert "thanks" not in told
    with psycopg.connect(migrated.dsn) as connection:
        for table in TABLES:
            connection.execute(f"TRUNCATE {table}".encode())
        connection.execute("DELETE FROM projection_checkpoints")
    run(page_size)
    assert _dump(migrated) == grown


def _live(writer: EventWriter, random: Random) -> None:
    """Conversations that go on side by side, with every kind of ending; many small commits."""
    conversations = [uuid4() for _ in range(12)]
    for conversation_id in conversations:
        writer.write(conversation_id, ConversationStarted(labels={"n": random.randrange(3)}))
    late = []
    for number in range(120):
        conversation_id = random.choice(conversations)
        completion_id = uuid4()
        what = random.randrange(4)
        if what < 2:
            writer.write(conversation_id, *turn(f"question {number}"))
        elif what == 2:
            writer.write(conversation_id, said(f"question {number}"), requested(completion_id))
            late.append((conversation_id, completion_id))
        elif late:
            conversation_id, completion_id = late.pop()
            writer.write(conversation_id, CompletionInterrupted(completion_id=completion_id, reason="process_gone"))
            writer.write(conversation_id, received(completion_id))
            writer.write(conversation_id, FeedbackGiven(completion_id=completion_id, score=1))
    writer.write(conversations[0], ConversationClosed())
    for conversation_id in conversations[:3]:
        writer.write(conversation_id, FeedbackGiven(completion_id=None, score=1, comment="thanks"))
        writer.write(conversation_id, ConversationErased(reason="asked for"))


def _caught_up(onlooker: psycopg.Connection[TupleRow]) -> bool:
    row = onlooker.execute(
        "SELECT position = (SELECT max(notification_id) FROM stored_events) FROM projection_checkpoints"
    ).fetchone()
    return bool(row and row[0])


def _dump(database: ConnectionInfo) -> dict[str, list[tuple[str]]]:
    with psycopg.connect(database.dsn) as connection:
        return {
            table: connection.execute(f"SELECT row::text FROM {table} AS row ORDER BY 1".encode()).fetchall()
            for table in TABLES
        }
