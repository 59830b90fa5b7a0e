"""Pages of the log: what is encrypted comes with its conversation's key, and nothing else does."""

from collections.abc import Sequence
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine

from send2llm.application.context import RecordedEvent
from send2llm.domain.conversation_events import ConversationClosed, ConversationErased, ConversationStarted
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.text_keys import LOST, TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.log_pages import LogPages
from send2llm.testing.event_writer import EventWriter, said

TOPICS = ["conversation.started", "conversation.message_added", "conversation.erased"]


class KeyNotingDecoder:
    """Notes with which key each event comes; opens no text."""

    def __init__(self) -> None:
        self.keys: dict[int, bytes | None] = {}
        self._codec = EventCodec(EventRegistry.default())

    def decode(
        self, position: int, stream: str, version: int, topic: str, state: bytes, key: bytes | None = None
    ) -> RecordedEvent:
        self.keys[position] = key
        return self._codec.decode(position, stream, version, topic, state)


@pytest.fixture
def keys(migrated: ConnectionInfo) -> dict[str, bytes]:
    """The log is written here; the keys that are stored for its streams."""
    plain, encrypted, erased, lost = uuid4(), uuid4(), uuid4(), uuid4()
    with EventWriter(migrated) as writer:
        writer.write(plain, ConversationStarted(), said("one"))
    with EventWriter(migrated, TextKeys.generate()) as writer:
        writer.write(encrypted, ConversationStarted(), said("two"), said("three"), ConversationClosed())
        writer.write(erased, ConversationStarted(), said("four"))
        writer.write(lost, ConversationStarted(), said("five"))
        writer.write(erased, ConversationErased())
    with psycopg.connect(migrated.dsn) as connection:
        stream = conversation_stream(lost)
        connection.execute("DELETE FROM conversation_keys WHERE originator_id = %s", [stream])
        return dict(connection.execute("SELECT originator_id, wrapped FROM conversation_keys").fetchall())


def noted(database: ConnectionInfo, *, texts: bool, positions: Sequence[int] = ()) -> list[tuple[int, bytes | None]]:
    """The positions that are read, each with its key: a page from the beginning, or those ``positions``."""
    decoder = KeyNotingDecoder()
    pages = LogPages(decoder)
    engine = create_engine(database.sqlalchemy_url)
    with engine.connect() as connection, connection.begin():
        if positions:
            events = pages.at(connection, positions, TOPICS, texts=texts)
        else:
            page = pages.read(connection, 0, 100, TOPICS, texts=texts)
            assert (page.count, page.last) == (11, 11)
            events = page.events
    engine.dispose()
    assert [event.position for event in events] == list(decoder.keys)
    return list(decoder.keys.items())


def test_what_is_encrypted_comes_with_its_key(migrated: ConnectionInfo, keys: dict[str, bytes]) -> None:
    (key,) = keys.values()
    expected = [
        *((1, None), (2, None)),  # in plain
        *((3, None), (4, key), (5, key)),  # the sixth is not wanted
        *((7, None), (8, None)),  # erased
        *((9, None), (10, LOST)),
        (11, None),
    ]
    assert noted(migrated, texts=True) == expected
    assert noted(migrated, texts=True, positions=[2, 5, 8, 10]) == [(2, None), (5, key), (8, None), (10, LOST)]


def test_who_reads_no_texts_gets_no_keys(migrated: ConnectionInfo, keys: dict[str, bytes]) -> None:
    assert {key for _, key in noted(migrated, texts=False)} == {None}
    assert noted(migrated, texts=False, positions=[5, 10]) == [(5, None), (10, None)]
