"""Who asks, and as part of what: the metadata that every stored event carries."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of one command.

    ``correlation_id`` joins everything that one call from outside led to (it is the request id that callers
    see); ``causation_id`` is the event or request that led to this very command. ``trace_id`` is the caller's
    W3C trace.
    """

    correlation_id: UUID
    causation_id: UUID | None = None
    actor: str = "anonymous"
    tenant: str = DEFAULT_TENANT
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is stored with an event besides what happened."""

    event_id: UUID
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    actor: str
    tenant: str
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it is stored: ``position`` in the whole log, ``version`` in its ``stream``, and its metadata."""

    position: int
    stream: str
    version: int
    topic: str
    event: object
    metadata: Metadata
