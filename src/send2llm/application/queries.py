"""What people ask of the history. Reads go past the domain, to read models that are folded from its events.

A read model follows the events within moments, not at once. Who needs what was written just now asks the
domain: ``time_travel`` folds it from the events themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol
from uuid import UUID

from send2llm.domain.completion import Usage
from send2llm.domain.message import JsonObject, Role

ConversationState = Literal["open", "awaiting", "closed", "erased"]
CompletionStatus = Literal["awaited", "received", "failed", "interrupted", "refused"]
ConversationOrder = Literal["updated_at", "started_at"]

LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One line in a list of conversations.

    ``title`` is the beginning of the first thing that the user said. ``cost_usd`` adds up what is known to
    have been spent; ``unpriced_count`` calls cost something that is not known. Tokens are those that the
    provider reported, or the estimate for calls where it reported none. ``version`` counts the events.
    """

    id: UUID
    tenant: str
    actor: str
    title: str | None
    labels: JsonObject
    state: ConversationState
    version: int
    message_count: int
    completion_count: int
    received_count: int
    failed_count: int
    interrupted_count: int
    refused_count: int
    unpriced_count: int
    cost_usd: Decimal
    input_tokens: int
    output_tokens: int
    last_provider: str | None
    last_model: str | None
    started_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MessageLine:
    """One message of a transcript; ``ordinal`` counts from 1, ``position`` is that of its event in the log.

    ``parts`` are JSON objects, each with its ``type``. An answer names its completion, provider and model.
    """

    ordinal: int
    role: Role
    name: str | None
    text: str
    parts: Sequence[JsonObject]
    completion_id: UUID | None
    provider: str | None
    model: str | None
    at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class CompletionLine:
    """One call to a model and what became of it; ``duration`` and ``time_to_first_token`` are seconds.

    ``error`` is the code from the error tree, or the reason of an interruption. ``cost_usd`` is that of the last
    attempt, beside ``failed_attempts_cost_usd``.
    """

    completion_id: UUID
    requested_model: str
    provider: str
    model: str
    process: str
    status: CompletionStatus
    error: str | None
    assumed: str | None
    attempts: int
    streaming: bool
    reported_usage: Usage | None
    estimated_usage: Usage | None
    hold_usd: Decimal | None
    cost_usd: Decimal | None
    failed_attempts_cost_usd: Decimal
    price_version: str | None
    duration: float | None
    time_to_first_token: float | None
    finish_reason: str | None
    requested_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedbackLine:
    """Somebody's judgement on one answer, or on the whole conversation: ``score`` from -1 to 1."""

    completion_id: UUID | None
    score: Decimal
    comment: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ConversationDetail:
    """A conversation with all that was said, asked and judged, in the order of events."""

    summary: ConversationSummary
    messages: Sequence[MessageLine]
    completions: Sequence[CompletionLine]
    feedback: Sequence[FeedbackLine]


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations; ``None`` asks for nothing.

    ``model`` and ``provider`` are those of the last call. ``started_from`` is included, ``started_before`` is
    not. ``text`` is looked for in titles, whatever its case. All of the ``labels`` are there, and maybe
    others.
    """

    tenant: str | None = None
    model: str | None = None
    provider: str | None = None
    state: ConversationState | None = None
    started_from: datetime | None = None
    started_before: datetime | None = None
    text: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


EVERYTHING = ConversationFilter()


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A page of conversations, the latest first; ``next_cursor`` asks for the page after, if there is one."""

    conversations: Sequence[ConversationSummary]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class OpenCompletion:
    """A call without an outcome, and the ``process`` that works, or worked, on it."""

    conversation_id: UUID
    completion_id: UUID
    process: str
    tenant: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryCounts:
    """How much there is; ``completions`` by their status."""

    conversations: int
    messages: int
    completions: Mapping[CompletionStatus, int]


class HistoryQueries(Protocol):
    """The history as it can be read. Every method raises ``StoreUnavailable``."""

    async def conversations(
        self,
        matching: ConversationFilter = EVERYTHING,
        *,
        order: ConversationOrder = "updated_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> ConversationPage:
        """A page of at most ``limit`` (1 to ``LARGEST_PAGE``) conversations.

        ``cursor`` comes from the page before, asked with the same filter and order; else ``InvalidRequest``.
        A conversation that changes while somebody turns the pages by ``updated_at`` moves to the front.
        """
        ...

    async def conversation(self, conversation_id: UUID, tenant: str | None = None) -> ConversationDetail:
        """One conversation; raises ``ConversationNotFound``, also when it belongs to another ``tenant``."""
        ...

    async def open_completions(self) -> Sequence[OpenCompletion]:
        """The calls that have no outcome, the oldest first."""
        ...

    async def counts(self, tenant: str | None = None) -> HistoryCounts:
        """How many conversations, messages and completions there are."""
        ...
