"""What the stored bytes of an event say, read as plain JSON: analysts want millions of them, and no objects."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from send2llm.domain.log_seals import RawEvent


class EventRow(NamedTuple):
    """A row of the exported events. All but the first five and ``state`` are ``None`` where the state is unreadable.

    ``data`` is what happened as JSON text, in the words of ``schema_version``; ``state`` the very bytes that are
    stored, which seals are about.
    """

    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    event_id: str | None = None
    occurred_at: datetime | None = None
    tenant: str | None = None
    actor: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    trace_id: str | None = None
    schema_version: int | None = None
    data: str | None = None


def parsed(event: RawEvent) -> tuple[dict[str, Any], Any] | None:
    """Metadata and data of an event; ``None`` when its state was not written by Send2LLM."""
    try:
        loaded = orjson.loads(event.state)
        return loaded["meta"], loaded["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def event_row(event: RawEvent, state: tuple[dict[str, Any], Any] | None) -> EventRow:
    """The row of an event whose state was ``parsed``."""
    if state is None:
        return EventRow(*event)
    meta, data = state
    try:
        return EventRow(
            *event,
            meta["event_id"],
            moment(meta["occurred_at"]),
            meta["tenant"],
            meta["actor"],
            meta["correlation_id"],
            meta.get("causation_id"),
            meta.get("trace_id"),
            meta["schema_version"],
            orjson.dumps(data).decode(),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return EventRow(*event)


def moment(text: str) -> datetime:
    """A stored time, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
