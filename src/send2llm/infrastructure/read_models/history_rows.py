"""What each event means for the history: a fold over plain rows, with no database in it."""

from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

from send2llm.events import (
    ERASED,
    ZERO,
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRefused,
    CompletionRequested,
    ContentPart,
    ConversationClosed,
    ConversationErased,
    ConversationStarted,
    FeedbackGiven,
    Message,
    MessageAdded,
    Usage,
)
from send2llm.infrastructure.read_models.history_tables import USAGE_FIELDS
from send2llm.projections import RecordedEvent

TITLE_LENGTH = 80
INDEXED_LENGTH = 200
_TITLE_SOURCE = 4 * TITLE_LENGTH  # how much of a text is looked at: runs of white space shrink to one space

Row = dict[str, Any]
"""A row of a table by its columns."""


def indexed(text: str) -> str:
    """A name as it stands in an index: callers may name things at any length, an index holds 2,700 bytes."""
    return text[:INDEXED_LENGTH]


_UNKNOWN = {origin: {f"{origin}_{name}": None for name in USAGE_FIELDS} for origin in ("reported", "estimated")}
_NO_USAGE = {**_UNKNOWN["reported"], **_UNKNOWN["estimated"]}


@dataclass(slots=True)
class HistoryRows:
    """The rows that a batch of events reads and writes.

    Who folds puts the rows in that were there before; ``apply`` changes them and adds new ones.
    """

    conversations: dict[UUID, Row] = field(default_factory=dict)
    completions: dict[UUID, Row] = field(default_factory=dict)
    messages: list[Row] = field(default_factory=list)
    feedback: list[Row] = field(default_factory=list)
    erased: set[UUID] = field(default_factory=set)
    """The conversations whose messages and feedback, old and new, are to lose their texts."""

    def apply(self, conversation_id: UUID, recorded: RecordedEvent) -> None:
        """Fold one event of a conversation."""
        conversation = self.conversations.get(conversation_id)
        if conversation is None:
            conversation = self.conversations[conversation_id] = _new_conversation(conversation_id, recorded)
        conversation["version"] = recorded.version
        conversation["updated_at"] = recorded.metadata.occurred_at
        match recorded.event:
            case MessageAdded() as event:
                self._message_added(conversation, recorded, event)
            case CompletionRequested() as event:
                self._requested(conversation, recorded, event)
            case CompletionReceived() as event:
                self._received(conversation, recorded, event)
            case ConversationStarted(labels=labels):
                conversation["labels"] = labels
            case AttemptFailed() as event:
                self._attempt_failed(conversation, event)
            case CompletionFailed() as event:
                self._failed(conversation, recorded, event)
            case CompletionInterrupted() as event:
                self._interrupted(conversation, recorded, event)
            case CompletionRefused() as event:
                self._refused(conversation, recorded, event)
            case FeedbackGiven() as event:
                self._feedback_given(conversation, recorded, event)
            case ConversationClosed():
                conversation["state"] = "closed"
            case ConversationErased():
                conversation |= {"state": "erased", "title": None}
                self.erased.add(conversation_id)

    def _message_added(self, conversation: Row, recorded: RecordedEvent, event: MessageAdded) -> None:
        self._say(conversation, recorded, event.message)
        if conversation["title"] is None and event.message.role == "user":
            conversation["title"] = " ".join(event.message.text[:_TITLE_SOURCE].split())[:TITLE_LENGTH] or None

    def _requested(self, conversation: Row, recorded: RecordedEvent, event: CompletionRequested) -> None:
        self.completions[event.completion_id] = {
            "completion_id": event.completion_id,
            "conversation_id": conversation["id"],
            "requested_model": event.requested_model,
            "provider": event.provider,
            "model": event.model,
            "process": indexed(event.process),
            "status": "awaited",
            "error": None,
            "assumed": None,
            "attempts": 0,
            "streaming": event.streaming,
            **_NO_USAGE,
            "hold_usd": event.hold_usd,
            "cost_usd": None,
            "failed_attempts_cost_usd": ZERO,
            "price_version": event.price_version,
            "duration": None,
            "time_to_first_token": None,
            "finish_reason": None,
            "requested_at": recorded.metadata.occurred_at,
            "ended_at": None,
        }
        conversation["completion_count"] += 1
        conversation["state"] = "awaiting"
        conversation["last_provider"] = indexed(event.provider)
        conversation["last_model"] = indexed(event.model)

    def _refused(self, conversation: Row, recorded: RecordedEvent, event: CompletionRefused) -> None:
        first = event.decision.candidates[0]
        self.completions[event.completion_id] = {
            "completion_id": event.completion_id,
            "conversation_id": conversation["id"],
            "requested_model": event.requested_model,
            "provider": first.provider,
            "model": first.model,
            "process": "",
            "status": "refused",
            "error": event.error,
            "assumed": None,
            "attempts": 0,
            "streaming": False,
            **_NO_USAGE,
            "hold_usd": None,
            "cost_usd": None,
            "failed_attempts_cost_usd": ZERO,
            "price_version": None,
            "duration": None,
            "time_to_first_token": None,
            "finish_reason": None,
            "requested_at": recorded.metadata.occurred_at,
            "ended_at": recorded.metadata.occurred_at,
        }
        conversation["completion_count"] += 1
        conversation["refused_count"] += 1

    def _attempt_failed(self, conversation: Row, event: AttemptFailed) -> None:
        completion = self.completions[event.completion_id]
        completion["attempts"] = event.attempt
        if event.cost_usd is not None:
            completion["failed_attempts_cost_usd"] += event.cost_usd
            conversation["cost_usd"] += event.cost_usd

    def _received(self, conversation: Row, recorded: RecordedEvent, event: CompletionReceived) -> None:
        answer = event.answers[0]
        completion = self._end(
            conversation,
            recorded,
            event.completion_id,
            status="received",
            error=None,
            assumed=None,
            provider=event.provider,
            model=event.model,
            attempts=event.attempts,
            duration=event.duration,
            time_to_first_token=event.time_to_first_token,
            finish_reason=answer.finish_reason,
            **_spent(event),
        )
        conversation["last_provider"] = indexed(event.provider)
        conversation["last_model"] = indexed(event.model)
        self._say(conversation, recorded, answer.message, completion)

    def _failed(self, conversation: Row, recorded: RecordedEvent, event: CompletionFailed) -> None:
        self._end(
            conversation,
            recorded,
            event.completion_id,
            status="failed",
            error=event.error,
            attempts=event.attempts,
            duration=event.duration,
        )

    def _interrupted(self, conversation: Row, recorded: RecordedEvent, event: CompletionInterrupted) -> None:
        self._end(
            conversation,
            recorded,
            event.completion_id,
            status="interrupted",
            error=event.reason,
            assumed=event.assumed or None,
            duration=event.duration,
            **_spent(event),
        )

    def _feedback_given(self, conversation: Row, recorded: RecordedEvent, event: FeedbackGiven) -> None:
        self.feedback.append(
            {
                "position": recorded.position,
                "conversation_id": conversation["id"],
                "completion_id": event.completion_id,
                "score": event.score,
                "comment": event.comment,
                "actor": recorded.metadata.actor,
                "at": recorded.metadata.occurred_at,
            }
        )

    def _say(self, conversation: Row, recorded: RecordedEvent, message: Message, completion: Row | None = None) -> None:
        conversation["message_count"] += 1
        self.messages.append(
            {
                "conversation_id": conversation["id"],
                "ordinal": conversation["message_count"],
                "role": message.role,
                "name": message.name,
                "text": message.text,
                "parts": [_part(part) for part in message.parts],
                "completion_id": completion and completion["completion_id"],
                "provider": completion and completion["provider"],
                "model": completion and completion["model"],
                "at": recorded.metadata.occurred_at,
                "position": recorded.position,
            }
        )

    def _end(self, conversation: Row, recorded: RecordedEvent, completion_id: UUID, **known: object) -> Row:
        completion = self.completions[completion_id]
        if completion["ended_at"] is not None:
            # Written off because its process seemed gone, and answered after all: the first ending does not
            # count.
            _count(conversation, completion, -1)
        completion.update(known, ended_at=recorded.metadata.occurred_at)
        _count(conversation, completion, 1)
        conversation["state"] = "open"
        return completion


def _new_conversation(conversation_id: UUID, recorded: RecordedEvent) -> Row:
    return {
        "id": conversation_id,
        "tenant": indexed(recorded.metadata.tenant),
        "actor": recorded.metadata.actor,
        "title": None,
        "labels": {},
        "state": "open",
        "version": 0,
        "message_count": 0,
        "completion_count": 0,
        "received_count": 0,
        "failed_count": 0,
        "interrupted_count": 0,
        "refused_count": 0,
        "unpriced_count": 0,
        "cost_usd": Decimal(0),
        "input_tokens": 0,
        "output_tokens": 0,
        "last_provider": None,
        "last_model": None,
        "started_at": recorded.metadata.occurred_at,
        "updated_at": recorded.metadata.occurred_at,
    }


def _count(conversation: Row, completion: Row, sign: int) -> None:
    """Put an ended completion into the totals of its conversation, or with -1 take it out again."""
    conversation[f"{completion['status']}_count"] += sign
    origin = "reported" if completion["reported_input_tokens"] is not None else "estimated"
    input_tokens = completion[f"{origin}_input_tokens"]
    if input_tokens is not None:
        conversation["input_tokens"] += sign * input_tokens
        conversation["output_tokens"] += sign * completion[f"{origin}_output_tokens"]
    if completion["cost_usd"] is not None:
        conversation["cost_usd"] += sign * completion["cost_usd"]
    elif completion["status"] == "received" or input_tokens is not None:
        conversation["unpriced_count"] += sign


def _spent(event: CompletionReceived | CompletionInterrupted) -> Row:
    return {
        **_usage("reported", event.reported_usage),
        **_usage("estimated", event.estimated_usage),
        "cost_usd": event.cost_usd,
        "price_version": event.price_version,
    }


def _usage(origin: str, usage: Usage | None) -> Row:
    return _UNKNOWN[origin] if usage is None else dict(zip(_UNKNOWN[origin], _numbers(usage), strict=True))


_numbers = attrgetter(*USAGE_FIELDS)


def _part(part: ContentPart) -> Row:
    """A content part as the JSON object that readers get: its fields, without those that are empty."""
    return {
        name: value
        for name in part.__slots__
        if (value := getattr(part, name)) is not None and not (name == "extras" and not value)
    }


ERASED_PARTS = [_part(ERASED)]
"""The parts of every message of a conversation that was erased."""
