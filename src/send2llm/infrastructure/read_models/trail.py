"""The trail: which events are about a call, a request, a conversation, an actor or a budget."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, any_, literal, select

from send2llm.events import AllowanceClosed, AllowanceGranted, OverrunRecorded
from send2llm.infrastructure.read_models import trail_tables
from send2llm.infrastructure.read_models.trail_tables import allowances, events as rows
from send2llm.projections import ALL_TOPICS, RecordedEvent, allowance_of, budget_of, conversation_id_of, copy_rows


class TrailProjection:
    """Folds every event into a row of ``trail_tables``: at most one read and two writes a batch."""

    name = trail_tables.NAME
    version = trail_tables.VERSION
    reads_texts = False
    topics = ALL_TOPICS
    tables = trail_tables.metadata

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        granted = {
            recorded.event.allowance_id: budget_of(recorded.stream)[0]
            for recorded in events
            if isinstance(recorded.event, AllowanceGranted)
        }
        closed = {allowance_of(one.stream) for one in events if isinstance(one.event, AllowanceClosed)}
        owners = {**_owners(connection, closed - granted.keys()), **granted}
        copy_rows(connection, rows, [_row(recorded, owners) for recorded in events])
        copy_rows(
            connection,
            allowances,
            [{"allowance_id": allowance, "budget_id": budget} for allowance, budget in granted.items()],
        )


def _owners(connection: Connection, wanted: set[UUID]) -> dict[UUID, UUID]:
    if not wanted:
        return {}
    ids = literal(list(wanted), ARRAY(allowances.c.allowance_id.type))
    found = connection.execute(select(allowances).where(allowances.c.allowance_id == any_(ids)))
    return {row.allowance_id: row.budget_id for row in found}


def _row(recorded: RecordedEvent, owners: Mapping[UUID, UUID]) -> dict[str, Any]:
    metadata, event = recorded.metadata, recorded.event
    return {
        "position": recorded.position,
        "correlation_id": metadata.correlation_id,
        "actor": metadata.actor,
        "tenant": metadata.tenant,
        "conversation_id": _conversation(recorded),
        "completion_id": _completion(event),
        "budget_id": _budget(recorded, owners),
    }


_conversation_of = lru_cache(maxsize=4096)(conversation_id_of)
"""A page asks for the same few hundred conversations over and over."""


def _conversation(recorded: RecordedEvent) -> UUID | None:
    if recorded.stream.startswith("conversation-"):
        return _conversation_of(recorded.stream)
    return getattr(recorded.event, "conversation_id", None)


def _completion(event: object) -> UUID | None:
    if isinstance(event, OverrunRecorded):  # a hold is named after its call
        return None if event.hold_id is None else UUID(event.hold_id.partition("/")[0])
    return getattr(event, "completion_id", None)


def _budget(recorded: RecordedEvent, owners: Mapping[UUID, UUID]) -> UUID | None:
    if recorded.stream.startswith("budget-"):
        return budget_of(recorded.stream)[0]
    if isinstance(recorded.event, AllowanceClosed):
        return owners.get(allowance_of(recorded.stream))
    return getattr(recorded.event, "budget_id", None)
