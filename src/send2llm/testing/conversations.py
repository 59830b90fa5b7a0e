"""The conversations in memory: an event store for tests, which forgets everything with the process."""

from collections import deque
from collections.abc import Sequence
from uuid import UUID

from send2llm.application.context import Context, RecordedEvent
from send2llm.application.ports import AllowanceHold, Claim, Clock, Identifiers
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import AllowanceIsClosed, ConversationNotErasable, StaleConversation, StoreUnavailable
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.infrastructure.event_store.append import BEHIND_THE_LAST
from send2llm.infrastructure.event_store.conversation_appends import ConversationAppends
from send2llm.infrastructure.event_store.errors import VersionConflict
from send2llm.infrastructure.event_store.streams import (
    allowance_of,
    conversation_id_of,
    conversation_stream,
    idempotency_stream,
    tenant_digest,
)
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.testing.clock import FakeClock, SequentialIdentifiers
from send2llm.testing.event_store import InMemoryEventStore


class InMemoryConversations:
    """Implements the ``Conversations`` port, and the logs of events, on an ``InMemoryEventStore``.

    Set ``available`` to False and every method raises ``StoreUnavailable``.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        identifiers: Identifiers | None = None,
        registry: EventRegistry | None = None,
        store: InMemoryEventStore | None = None,
    ) -> None:
        self.store = store or InMemoryEventStore(registry)
        self._appends = ConversationAppends(
            self.store.codec, clock or FakeClock(), identifiers or SequentialIdentifiers(0xE000)
        )
        self._heads: dict[str, tuple[bytes, int]] = {}

    @property
    def available(self) -> bool:
        """Whether the store answers."""
        return self.store.available

    @available.setter
    def available(self, available: bool) -> None:
        self.store.available = available

    @property
    def events(self) -> Sequence[RecordedEvent]:
        """Everything that was stored, in order."""
        return self.store.events

    async def load(
        self,
        conversation_id: UUID,
        *,
        fresh: bool = False,  # noqa: ARG002 - the port's; here everything is fresh
        texts: bool = True,
    ) -> Conversation:
        """A conversation of the caller's own, always as fresh as can be."""
        stored = self.store.stream(conversation_stream(conversation_id), texts=texts)
        events = [recorded.event for recorded in stored]
        return Conversation.fold(conversation_id, events)  # type: ignore[arg-type] # the stream's name vouches for them

    async def tenant_of(self, conversation_id: UUID) -> str | None:
        """Whose conversation it is, ``None`` when there is none of that id."""
        events = self.store.stream(conversation_stream(conversation_id))
        return events[0].metadata.tenant if events else None

    async def find(self, digests: Sequence[bytes], tenant: str) -> UUID | None:
        """The last conversation of ``tenant`` with the first of the ``digests`` that any has."""
        self.store.must_be_available()
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
        holds: Sequence[AllowanceHold] = (),
    ) -> int:
        """Keep its new events and holds, all or nothing; return the last position, 0 when nothing was new."""
        self.store.must_be_available()
        stream = conversation_stream(conversation.id)
        plain = self.store.first_in_plain(stream) if conversation.erased else None
        if plain is not None:
            raise ConversationNotErasable(conversation.id, plain)
        append = self._appends.make(conversation, context, claim, holds, key=self.store.key_for(stream))
        if append is None:
            return 0
        try:
            position = self.store.append(append)
        except VersionConflict as conflict:
            if conflict.originator_version == BEHIND_THE_LAST:
                raise AllowanceIsClosed(allowance_of(conflict.originator_id)) from None
            raise StaleConversation(conversation.id) from None
        for head in append.heads:
            if head.digest is None:
                self._heads.pop(head.originator_id, None)
            else:
                self._heads[head.originator_id] = (head.digest, position)
        return position

    async def claim(self, key: str, tenant: str) -> Claim:
        """What an idempotency key stands for by now."""
        events = self.store.stream(idempotency_stream(key, tenant))
        if not events:
            return Claim(key, 0, None)
        last = events[-1]
        return Claim(key, last.version, last.event if isinstance(last.event, IdempotencyKeyClaimed) else None)

    async def events_of(self, conversation_id: UUID) -> Sequence[RecordedEvent]:
        """All events of a conversation, none if it does not exist."""
        return self.store.stream(conversation_stream(conversation_id))

    async def read(self, after: int, limit: int) -> Sequence[RecordedEvent]:
        """At most ``limit`` events after the position."""
        self.store.must_be_available()
        return self.events[after : after + limit]

    async def head(self) -> int:
        """The position of the last event, 0 when there is none."""
        self.store.must_be_available()
        return len(self.store.events)


class LossyConversations(InMemoryConversations):
    """Loses the answers to appends, as when the connection breaks while the database is asked.

    ``losses`` says it for the next appends, one after the other: ``None``, it is answered; else whether it was stored,
    which nobody is told. Appends after the last of them are answered.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        identifiers: Identifiers | None = None,
        registry: EventRegistry | None = None,
        store: InMemoryEventStore | None = None,
    ) -> None:
        super().__init__(clock, identifiers, registry, store)
        self.losses: deque[bool | None] = deque()

    async def save(
        self,
        conversation: Conversation,
        context: Context,
        *,
        claim: tuple[Claim, IdempotencyKeyClaimed] | None = None,
        holds: Sequence[AllowanceHold] = (),
    ) -> int:
        """Store it or not, and tell or not."""
        stored = self.losses.popleft() if self.losses else None
        if stored is False:
            raise StoreUnavailable("The connection broke; the test said so.")
        position = await super().save(conversation, context, claim=claim, holds=holds)
        if stored:
            raise StoreUnavailable("The connection broke; the test said so.")
        return position
