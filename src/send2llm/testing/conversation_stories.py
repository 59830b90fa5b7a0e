"""The vocabulary of tests about conversations: given what happened, when a command, then these events.

::

    given(started(), said("Hi"), asked()).when(lambda it: it.receive_completion(answered("Hello"))).then(
        answered("Hello")
    )
    given(started(), closed()).when(lambda it: it.add_messages([user("Hi")])).then_refused(ConversationIsClosed)

Completions are numbered: ``asked(2)`` and ``answered("...", 2)`` are about the same one. Whatever a test does
not say has some fixed value.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from send2llm.domain.completion import Answer, Parameters, Usage
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
    ConversationClosed,
    ConversationEvent,
    ConversationStarted,
    InterruptionReason,
    MessageAdded,
)
from send2llm.domain.errors import Send2LLMError
from send2llm.domain.message import Message, TextPart
from send2llm.domain.routing import Candidate, Decision

CONVERSATION = UUID("00000000-0000-7000-8000-00000000c0de")
"""The conversation that a story is about, unless it says another."""

PROVIDER, MODEL = "openai", "gpt-4o-mini"


def completion(number: int = 1) -> UUID:
    """The id of a completion."""
    return UUID(int=0x0000_0000_0000_7000_8000_0000_0000_0000 + number)


def user(text: str) -> Message:
    """What the caller says."""
    return Message("user", (TextPart(text),))


def assistant(text: str) -> Message:
    """What the model says."""
    return Message("assistant", (TextPart(text),))


def started(**labels: str) -> ConversationStarted:
    """A conversation began."""
    return ConversationStarted(labels=labels)


def said(text: str) -> MessageAdded:
    """The caller said something."""
    return MessageAdded(message=user(text))


def asked(number: int = 1, **details: Any) -> CompletionRequested:
    """An answer was asked for; ``details`` are fields of the event."""
    event = CompletionRequested(
        completion_id=completion(number),
        requested_model=f"{PROVIDER}/{MODEL}",
        parameters=Parameters(),
        decision=Decision("named", (Candidate(PROVIDER, MODEL, "named by the caller"),)),
        provider=PROVIDER,
        model=MODEL,
        process="test",
    )
    return replace(event, **details)


def attempt_failed(number: int = 1, **details: Any) -> AttemptFailed:
    """An attempt failed, and another may follow."""
    event = AttemptFailed(
        completion_id=completion(number),
        attempt=1,
        provider=PROVIDER,
        model=MODEL,
        error="provider_overloaded",
        detail="The provider is too busy (503).",
        retryable=True,
        status=503,
        duration=0.25,
    )
    return replace(event, **details)


def answered(text: str, number: int = 1, **details: Any) -> CompletionReceived:
    """The model answered."""
    event = CompletionReceived(
        completion_id=completion(number),
        provider=PROVIDER,
        model=MODEL,
        answers=(Answer(assistant(text), "stop"),),
        attempts=1,
        duration=0.5,
        reported_usage=Usage(input_tokens=12, output_tokens=34),
        cost_usd=Decimal("0.0000222"),
        price_version="test 1",
    )
    return replace(event, **details)


def failed(number: int = 1) -> CompletionFailed:
    """No provider answered."""
    return CompletionFailed(
        completion_id=completion(number),
        error="provider_overloaded",
        detail="The provider is too busy (503).",
        attempts=3,
        duration=1.5,
    )


def interrupted(number: int = 1, reason: InterruptionReason = "client_disconnected") -> CompletionInterrupted:
    """The call ended before its answer."""
    return CompletionInterrupted(completion_id=completion(number), reason=reason)


def closed(reason: str = "") -> ConversationClosed:
    """Nothing more will be said."""
    return ConversationClosed(reason=reason)


def given(*events: ConversationEvent) -> "Given":
    """What happened before."""
    return Given(events)


class Given:
    """A conversation in the state that a story begins with."""

    def __init__(self, events: Sequence[ConversationEvent]) -> None:
        self._events = events

    def when(self, *commands: Callable[[Conversation], object]) -> "When":
        """Commands that are then given, one after the other."""
        return When(Conversation.fold(CONVERSATION, self._events), commands)


class When:
    """A conversation, and the commands that it is given."""

    def __init__(self, conversation: Conversation, commands: Sequence[Callable[[Conversation], object]]) -> None:
        self._conversation = conversation
        self._commands = commands

    def then(self, *expected: ConversationEvent) -> Conversation:
        """Expect exactly these new events, and return the conversation."""
        version = self._conversation.version
        for command in self._commands:
            command(self._conversation)
        before, events = self._conversation.collect()
        if (before, tuple(events)) != (version, expected):
            raise AssertionError(f"expected {expected} after version {version}, got {events} after {before}")
        return self._conversation

    def then_refused(self, error: type[Send2LLMError]) -> Send2LLMError:
        """Expect that the last command is refused and changes nothing; return the error."""
        *first, last = self._commands
        for command in first:
            command(self._conversation)
        before = _state(self._conversation)
        try:
            last(self._conversation)
        except error as refusal:
            if _state(self._conversation) != before:
                raise AssertionError(f"{refusal!r} was raised, but the conversation has changed") from refusal
            return refusal
        raise AssertionError(f"expected {error.__name__}, but nothing was refused")


def _state(conversation: Conversation) -> tuple[object, ...]:
    return (
        conversation.version,
        list(conversation.messages),
        conversation.digest,
        conversation.awaited,
        conversation.closed,
        conversation.labels,
    )
