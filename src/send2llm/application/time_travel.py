"""A conversation as it was, folded from its events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.application.moments import Moment
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import ConversationEvent
from send2llm.domain.errors import ConversationNotFound, InvalidRequest


class ConversationLog(Protocol):
    """The stored events of single conversations."""

    async def events_of(self, conversation_id: UUID) -> Sequence[RecordedEvent]:
        """All events of a conversation in order, none if it does not exist; raises ``StoreUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class ConversationThen:
    """A conversation as of some moment: its state, and the last of its events that had happened."""

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
        """After its first ``version`` events; raises ``InvalidRequest`` when there are not so many yet."""
        then = await self._fold(conversation_id, lambda event: event.version <= version, tenant)
        if then.last.version < version:
            raise InvalidRequest(
                f"at: The conversation has only {then.last.version} versions so far; ask for one of them.", param="at"
            )
        return then

    async def moment(self, conversation_id: UUID, moment: Moment, *, tenant: str | None = None) -> ConversationThen:
        """As it was then."""
        return await self._fold(conversation_id, lambda event: event.position <= moment.position, tenant)

    async def now(self, conversation_id: UUID, *, tenant: str | None = None) -> ConversationThen:
        """With every stored event."""
        return await self._fold(conversation_id, lambda _: True, tenant)

    async def _fold(
        self, conversation_id: UUID, happened: Callable[[RecordedEvent], bool], tenant: str | None
    ) -> ConversationThen:
        events = await self._log.events_of(conversation_id)
        if tenant is not None and events and events[0].metadata.tenant != tenant:
            raise ConversationNotFound(conversation_id)
        told = [event for event in events if happened(event)]
        if not told:
            raise ConversationNotFound(conversation_id)
        conversation = Conversation.fold(conversation_id, [cast("ConversationEvent", event.event) for event in told])
        return ConversationThen(conversation, told[-1])
