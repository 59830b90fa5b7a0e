"""The history projection: conversations with their messages, calls, costs and feedback."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from uuid import UUID

from sqlalchemy import ARRAY, Column, Connection, Table, Text, any_, cast, literal, select, update

from send2llm.infrastructure.read_models import history_tables
from send2llm.infrastructure.read_models.calls_before import calls_before
from send2llm.infrastructure.read_models.history_rows import ERASED_PARTS, HistoryRows, Row
from send2llm.projections import RecordedEvent, conversation_id_of, copy_rows, replace_rows, storable_json

TOPICS = frozenset(
    {
        "conversation.started",
        "conversation.message_added",
        "conversation.context_shortened",
        "conversation.completion_requested",
        "conversation.attempt_failed",
        "conversation.completion_received",
        "conversation.completion_failed",
        "conversation.completion_interrupted",
        "conversation.completion_refused",
        "conversation.feedback_given",
        "conversation.closed",
        "conversation.erased",
    }
)


class HistoryProjection:
    """Folds every conversation into the tables of ``history_tables``.

    A batch reads the rows that it will change, folds in memory, and writes whole rows back: at most two reads
    and six writes, however many events there are, and two more when something is erased.
    """

    name = history_tables.NAME
    version = history_tables.VERSION
    topics = TOPICS
    tables = history_tables.metadata

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        rows = HistoryRows()
        known_conversations = _load(connection, history_tables.conversations.c.id, _conversations_before(events))
        known_completions = _load(connection, history_tables.completions.c.completion_id, calls_before(events))
        rows.conversations.update(known_conversations)
        rows.completions.update(known_completions)
        for recorded in events:
            rows.apply(_conversation_of(recorded.stream), recorded)
        _write(connection, history_tables.conversations, rows.conversations, known_conversations)
        _write(connection, history_tables.completions, rows.completions, known_completions)
        copy_rows(connection, history_tables.messages, rows.messages)
        copy_rows(connection, history_tables.feedback, rows.feedback)
        _erase(connection, rows.erased)


_conversation_of = lru_cache(maxsize=4096)(conversation_id_of)
"""A batch asks for the same few hundred conversations over and over, and reading a UUID takes a microsecond."""


def _conversations_before(events: Iterable[RecordedEvent]) -> set[UUID]:
    """The conversations in ``events`` that began before them."""
    begun = {recorded.stream for recorded in events if recorded.version == 1}
    return {_conversation_of(recorded.stream) for recorded in events if recorded.stream not in begun}


def _load(connection: Connection, key: Column[UUID], wanted: set[UUID]) -> dict[UUID, Row]:
    if not wanted:
        return {}
    found = connection.execute(select(key.table).where(key == any_(literal(list(wanted), ARRAY(key.type))))).mappings()
    return {row[key.name]: dict(row) for row in found}


def _erase(connection: Connection, conversations: set[UUID]) -> None:
    """Take away what was said; the rows then are those of a history that has never seen it."""
    if not conversations:
        return
    ids = any_(literal(list(conversations), ARRAY(history_tables.conversations.c.id.type)))
    messages, feedback = history_tables.messages, history_tables.feedback
    parts = cast(literal(storable_json(ERASED_PARTS), Text), messages.c.parts.type)
    connection.execute(
        update(messages).where(messages.c.conversation_id == ids).values(name=None, text="", parts=parts)
    )
    connection.execute(update(feedback).where(feedback.c.conversation_id == ids).values(comment=""))


def _write(connection: Connection, table: Table, rows: dict[UUID, Row], known: dict[UUID, Row]) -> None:
    replace_rows(connection, table, [rows[key] for key in known])
    copy_rows(connection, table, [row for key, row in rows.items() if key not in known])
