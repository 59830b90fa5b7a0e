"""Events with the metadata of the command that caused them, as rows of the event table."""

from eventsourcing.persistence import StoredEvent

from send2llm.application.context import Context, Metadata
from send2llm.application.ports import Clock, Identifiers
from send2llm.infrastructure.event_store.append_key import Encrypting
from send2llm.infrastructure.event_store.codec import EventCodec


class EventRows:
    """Makes rows; each gets an id and a time of its own."""

    def __init__(self, codec: EventCodec, clock: Clock, identifiers: Identifiers) -> None:
        self._codec = codec
        self._clock = clock
        self._identifiers = identifiers

    def row(
        self, stream: str, version: int, event: object, context: Context, key: Encrypting | None = None
    ) -> StoredEvent:
        """The row of an event at ``version`` of a stream, its texts encrypted under the ``key``."""
        metadata = Metadata(
            event_id=self._identifiers.new(),
            occurred_at=self._clock.now(),
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            actor=context.actor,
            tenant=context.tenant,
            trace_id=context.trace_id,
        )
        return self._codec.encode(stream, version, event, metadata, key)
