"""The events of a conversation: what happened, in the past tense, never changed afterwards.

Times, ids of events and who caused them are not here: they are metadata, added where events are stored.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from uuid import UUID

from send2llm.domain.completion import Answer, Parameters, Usage
from send2llm.domain.message import JsonObject, Message, no_extras
from send2llm.domain.prompt_template_events import TemplateUse
from send2llm.domain.routing import Attempt, Decision, PaidBy, PassedOver
from send2llm.domain.shortfall import Shortfall

InterruptionReason = Literal[
    "internal_error", "client_disconnected", "provider_failed", "process_gone", "shutdown", "store_unavailable"
]

ShorteningMode = Literal["trimmed", "summarised"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationStarted:
    """A conversation began. ``labels`` are the caller's own words about it."""

    labels: JsonObject = field(default_factory=no_extras)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAdded:
    """The caller's side said something, or brought along what was said elsewhere."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequested:
    """The intent: everything decided before the first byte goes to a provider.

    ``provider`` and ``model`` are the first candidate of ``decision`` that is not ``passed_over``.
    ``price_version`` names the prices in force, ``None`` if the model has none. ``hold_usd`` is the most that the
    first attempt can cost, when the budgets in ``paid_by`` set it aside, and ``output_limit`` the most tokens that each
    answer may then have. ``process`` is the running process that works on it: when that is gone, so is the call.
    ``template`` is what the first of its new messages were made from. ``request_digest`` (hex) comes with an
    ``idempotency_key`` and tells whether a later request is the same one.
    """

    completion_id: UUID
    requested_model: str
    parameters: Parameters
    decision: Decision
    provider: str
    model: str
    process: str
    streaming: bool = False
    price_version: str | None = None
    hold_usd: Decimal | None = None
    output_limit: int | None = None
    paid_by: tuple[PaidBy, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    idempotency_key: str | None = None
    request_digest: str = ""
    template: TemplateUse | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages of a transcript that follow each other, by their numbers, which count from 1."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextShortened:
    """The model is not sent the whole transcript, because that is too long for it; the transcript stays as it is.

    The messages in ``left_out`` are not sent, or a ``summary`` instead of them, which the call
    ``summary_completion_id`` wrote in a conversation of its own. Tokens are estimates: of the whole transcript, of what
    is sent instead, and the ``token_limit`` for it, which the ``context_window`` leaves beside the wanted answer.
    """

    completion_id: UUID
    mode: ShorteningMode
    left_out: tuple[Stretch, ...]
    tokens_before: int
    tokens_after: int
    token_limit: int
    context_window: int
    summary: str = ""
    summary_conversation_id: UUID | None = None
    summary_completion_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """One attempt at one provider failed; ``error`` is the code from the error tree, ``duration`` in seconds.

    ``cost_usd`` is what budgets are charged for it: the hold, when the provider may have worked and charged for it
    although nothing came back, which ``assumed`` says; ``None`` when it cost nothing, or no budget covers it.
    ``next_attempt`` is the one that follows, ``None`` when none does.
    """

    completion_id: UUID
    attempt: int
    provider: str
    model: str
    error: str
    detail: str
    retryable: bool
    status: int | None
    duration: float
    cost_usd: Decimal | None = None
    assumed: str = ""
    next_attempt: Attempt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionReceived:
    """The answer, and what it cost.

    Usage as the provider ``reported`` it is kept apart from what was ``estimated`` because it reported
    nothing. ``cost_usd`` is that of the last attempt, ``None`` when the model has no known price. ``assumed`` says
    when it is not known but assumed: the whole hold, where a budget covers the call and no usage was reported.
    ``duration`` and ``time_to_first_token`` are seconds.
    """

    completion_id: UUID
    provider: str
    model: str
    answers: tuple[Answer, ...]
    attempts: int
    duration: float
    time_to_first_token: float | None = None
    reported_usage: Usage | None = None
    estimated_usage: Usage | None = None
    cost_usd: Decimal | None = None
    price_version: str | None = None
    response_id: str = ""
    response_model: str = ""
    assumed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionFailed:
    """No candidate answered; the last error."""

    completion_id: UUID
    error: str
    detail: str
    attempts: int
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionInterrupted:
    """The call ended after a part of the answer, or with nobody to take it: what is known, what was ``assumed``.

    ``provider_failed`` means that the stream broke after its first tokens, which the provider may charge for.
    ``attempts`` is the number of the attempt that was under way or about to begin, at ``provider`` and ``model``; 0
    when that is not known.
    """

    completion_id: UUID
    reason: InterruptionReason
    partial_text: str = ""
    duration: float | None = None
    reported_usage: Usage | None = None
    estimated_usage: Usage | None = None
    cost_usd: Decimal | None = None
    price_version: str | None = None
    assumed: str = ""
    attempts: int = 0
    provider: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRefused:
    """No provider was asked, because a rule of ours forbids it; ``error`` is its code from the error tree.

    ``shortfall`` has the numbers when a budget had not enough left; ``passed_over`` says it for each candidate.
    """

    completion_id: UUID
    requested_model: str
    decision: Decision
    error: str
    detail: str
    shortfall: Shortfall | None = None
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackGiven:
    """Somebody judged the conversation or one of its answers: ``score`` from -1 (bad) to 1 (good)."""

    completion_id: UUID | None
    score: Decimal
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationClosed:
    """Nothing more will be said."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationErased:
    """What was said in the conversation, by whomever, can be read no more; what it cost, and when, stays."""

    reason: str = ""


ConversationEvent = (
    ConversationStarted
    | MessageAdded
    | ContextShortened
    | CompletionRequested
    | AttemptFailed
    | CompletionReceived
    | CompletionFailed
    | CompletionInterrupted
    | CompletionRefused
    | FeedbackGiven
    | ConversationClosed
    | ConversationErased
)
