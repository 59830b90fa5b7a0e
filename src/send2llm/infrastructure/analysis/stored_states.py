"""What the stored bytes of an event say, read as plain JSON: analysts want millions of them, and no objects."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from send2llm.domain.log_seals import RawEvent
from send2llm.infrastructure.event_store.text_keys import TextKey
from send2llm.infrastructure.event_store.texts import TEXTS, put_erased, put_texts


class EventRow(NamedTuple):
    """A row of the exported events. All but the first five and ``state`` are ``None`` where the state is unreadable.

    ``data`` is what happened as JSON text, in the words of ``schema_version``, without texts that are encrypted;
    ``state`` the very bytes that are stored, which seals are about.
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


class State(NamedTuple):
    """What a state says: metadata, data, and the texts that belong into the data, as they were encrypted."""

    meta: dict[str, Any]
    data: Any
    texts: str | None


def parsed(event: RawEvent) -> State | None:
    """The state of an event; ``None`` when it was not written by Send2LLM."""
    try:
        loaded = orjson.loads(event.state)
        return State(loaded["meta"], loaded["data"], loaded.get("texts"))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def reveal(event: RawEvent, state: State, key: TextKey | None) -> None:
    """Put the texts into the data, or what stands there when they are erased; raises ``UnreadableText``."""
    if state.texts is None:
        return
    if key is None:
        put_erased(state.data, TEXTS.get(event.topic, {}))
    else:
        put_texts(state.data, orjson.loads(key.decrypt(state.texts, event.version)))


def event_row(event: RawEvent, state: State | None) -> EventRow:
    """The row of an event whose state was ``parsed``, and not yet revealed."""
    if state is None:
        return EventRow(*event)
    meta, data, _ = state
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
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return EventRow(*event)


def occurred_at(event: RawEvent) -> datetime | None:
    """When an event happened, if its state says so."""
    state = parsed(event)
    try:
        return None if state is None else moment(state.meta["occurred_at"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None


def moment(text: str) -> datetime:
    """A stored time, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
