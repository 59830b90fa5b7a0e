"""The conversations in memory: an event store for tests, which forgets everything with the process."""

from collections.abc import Sequence
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from send2llm.application.context import Context, RecordedEvent
from send2llm.application.ports import AllowanceHold, Claim, Clock, Identifiers
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import StaleConversation, StoreUnavailable
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversation_appends import ConversationAppends
from send2llm.infrastructure.event_store.streams import (
    conversation_id_of,
    conversation_stream,
    idempotency_stream,
    tenant_digest,
)
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.testing.clock import FakeClock, SequentialIdentifiers


class InMemoryConversations:
    """Implements the ``Conversations`` port, and the logs of events, on lists.

    Events are encoded and decoded as for the database, so what could not be stored there fails here too. Set
    ``available`` to False and every method raises ``StoreUnavailable``.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        identifiers: Identifiers | None = None,
        registry: EventRegistry | None = None,
    ) -> None:
        self.available = True
        self._codec = EventCodec(registry or EventRegistry.default())
        self._appends = ConversationAppends(
            self._codec, clock or FakeClock(), identifiers or SequentialIdentifiers(0xE000)
        )
        self._rows: list[StoredEvent] = []
        self._streams: dict[str, list[int]] = {}
        self._heads: dict[str, tuple[bytes, int]] = {}

    @property
    def events(self) -> Sequence[RecordedEvent]:
        """Everything that was stored, in order."""
        return [self._recorded(position) for position in range(1, len(self._rows) + 1)]

    async def load(
        self,
        conversation_id: UUID,
        *,
        fresh: bool = False,  # noqa: ARG002 - the port's; here everything is fresh
    ) -> Conversation:
        """A conversation of the caller's own, always as fresh as can be."""
        self._must_be_available()
        positions = self._positions(conversation_stream(conversation_id))
        events = [self._recorded(position).event for position in positions]
        return Conversation.fold(conversation_id, events)  # type: ignore[arg-type] # the stream's name vouches for them

    async def find(self, digests: Sequence[bytes], tenant: str) -> UUID | None:
        """The last conversation of ``tenant`` with the first of the ``digests`` that any has."""
        self._must_be_available()
        for digest in digests:
            wanted = tenant_digest(digest, tenant)
            found = [(position, stream) for stream, (head, position) in self._heads.items() if head == wanted]
            if found:
                return conversation_id_of(max(found)[1])
        return None

    async def save(
        self,
        conversation: Conversation,
        context: Context,
        *,
        claim: tuple[Claim, IdempotencyKeyClaimed] | None = None,
        holds: Sequence[AllowanceHold] = (),  # noqa: ARG002 - there are no budgets here yet
    ) -> int:
        """Keep its new events, all or nothing; return the last position, 0 when nothing was new."""
        self._must_be_available()
        append = self._appends.make(conversation, context, claim)
        if append is None:
            return 0
        if any(row.originator_version <= len(self._positions(row.originator_id)) for row in append.events):
            raise StaleConversation(conversation.id)
        for row in append.events:
            self._rows.append(row)
            self._streams.setdefault(str(row.originator_id), []).append(len(self._rows))
        for head in append.heads:
            if head.digest is None:
                self._heads.pop(head.originator_id, None)
            else:
                self._heads[head.originator_id] = (head.digest, len(self._rows))
        return len(self._rows)

    async def claim(self, key: str, tenant: str) -> Claim:
        """What an idempotency key stands for by now."""
        self._must_be_available()
        positions = self._positions(idempotency_stream(key, tenant))
        if not positions:
            return Claim(key, 0, None)
        last = self._recorded(positions[-1])
        return Claim(key, last.version, last.event if isinstance(last.event, IdempotencyKeyClaimed) else None)

    async def events_of(self, conversation_id: UUID) -> Sequence[RecordedEvent]:
        """All events of a conversation, none if it does not exist."""
        self._must_be_available()
        return [self._recorded(position) for position in self._positions(conversation_stream(conversation_id))]

    async def read(self, after: int, limit: int, topic: str | None = None) -> Sequence[RecordedEvent]:
        """At most ``limit`` events after the position, of one topic if given."""
        self._must_be_available()
        wanted = (event for event in self.events[after:] if topic in (None, event.topic))
        return [event for event, _ in zip(wanted, range(limit), strict=False)]

    async def head(self) -> int:
        """The position of the last event, 0 when there is none."""
        self._must_be_available()
        return len(self._rows)

    def _recorded(self, position: int) -> RecordedEvent:
        row = self._rows[position - 1]
        return self._codec.decode(position, str(row.originator_id), row.originator_version, row.topic, row.state)

    def _positions(self, stream: UUID | str) -> Sequence[int]:
        return self._streams.get(str(stream), ())

    def _must_be_available(self) -> None:
        if not self.available:
            raise StoreUnavailable("The event store is away; the test said so.")
