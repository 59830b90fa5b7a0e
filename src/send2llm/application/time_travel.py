"""A conversation as it was, folded from its events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import ConversationEvent
from send2llm.domain.errors import ConversationNotFound


class ConversationLog(Protocol):
    """The stored events of single conversations."""

    async def events_of(self, conversation_id: UUID) -> Sequence[RecordedEvent]:
        """All events of a conversation in order, none if it does not exist; raises ``StoreUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class ConversationThen:
    """A conversation as of some moment: its state, and the last event that had happened."""

    conversation: Conversation
    last: RecordedEvent


class ConversationAsOf:
    """Asks what a conversation was like.

    Every method raises ``ConversationNotFound`` when it does not exist, did not exist yet, or belongs to
    another ``tenant`` than the one given.
    """

    def __init__(self, log: ConversationLog) -> None:
        self._log = log

    async def version(self, conversation_id: UUID, version: int, *, tenant: str | None = None) -> ConversationThen:
        """After its first ``version`` events; a higher number than there are events is the present."""
        return await self._fold(conversation_id, lambda event: event.version <= version, tenant)

    async def time(self, conversation_id: UUID, moment: datetime, *, tenant: str | None = None) -> ConversationThen:
        """After all that happened up to ``moment``, itself included; it needs a time zone."""
        return await self._fold(conversation_id, lambda event: event.metadata.occurred_at <= moment, tenant)

    async def now(self, conversation_id: UUID, *, tenant: str | None = None) -> ConversationThen:
        """With every stored event."""
        return await self._fold(conversation_id, lambda _: True, tenant)

    async def _fold(
        self, conversation_id: UUID, happened: Callable[[RecordedEvent], bool], tenant: str | None
    ) -> ConversationThen:
        events = await self._log.events_of(conversation_id)
        if tenant is not None and events and events[0].metadata.tenant != tenant:
            raise ConversationNotFound(conversation_id)
        # Clocks of several processes may disagree by a little, versions cannot: the last event that had
        # happened brings along all before it.
        last = next((event for event in reversed(events) if happened(event)), None)
        if last is None:
            raise ConversationNotFound(conversation_id)
        told = [cast("ConversationEvent", event.event) for event in events if event.version <= last.version]
        return ConversationThen(Conversation.fold(conversation_id, told), last)
