"""Answers that were given earlier, told from their conversations' events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.domain.continuation import EarlierAnswer
from send2llm.domain.conversation import CompletionEnd
from send2llm.domain.conversation_events import CompletionReceived, CompletionRequested, MessageAdded
from send2llm.domain.errors import EarlierAnswerNotFound
from send2llm.domain.message import Message


class ConversationEvents(Protocol):
    """The stored events of single conversations."""

    async def events_of(self, conversation_id: UUID) -> Sequence[RecordedEvent]:
        """All of them in order, none if there is no such conversation; raises ``StoreUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class ToldMessage:
    """Something that was said, and the completion that said it, if one did."""

    message: Message
    completion_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AnswerThen:
    """A call, all that the model was ``told``, and how it ended; ``None`` while it is awaited."""

    name: EarlierAnswer
    told: Sequence[ToldMessage]
    request: CompletionRequested
    requested_at: datetime
    ending: CompletionEnd | None


class EarlierAnswers:
    """Finds them."""

    def __init__(self, events: ConversationEvents) -> None:
        self._events = events

    async def answer(self, name: EarlierAnswer, *, tenant: str | None = None) -> AnswerThen:
        """One of them; raises ``EarlierAnswerNotFound``, also when it belongs to another ``tenant``."""
        events = await self._events.events_of(name.conversation_id)
        if tenant is not None and events and events[0].metadata.tenant != tenant:
            events = ()
        told: list[ToldMessage] = []
        found: AnswerThen | None = None
        for recorded in events:
            event = recorded.event
            if getattr(event, "completion_id", None) == name.completion_id:
                if isinstance(event, CompletionRequested):
                    found = AnswerThen(name, tuple(told), event, recorded.metadata.occurred_at, None)
                elif found is not None and isinstance(event, CompletionEnd):
                    found = AnswerThen(name, found.told, found.request, found.requested_at, event)
            if isinstance(event, MessageAdded):
                told.append(ToldMessage(event.message))
            elif isinstance(event, CompletionReceived):
                told.append(ToldMessage(event.answers[0].message, event.completion_id))
        if found is None:
            raise EarlierAnswerNotFound(name)
        return found
