"""The classes of all events, and the values in them that a projection may want to name.

``docs/events.md`` tells what each holds. They never change: a new field has a default.
"""

from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined, BudgetRetired
from send2llm.domain.completion import Answer, Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRefused,
    CompletionRequested,
    ContextShortened,
    ConversationClosed,
    ConversationErased,
    ConversationStarted,
    FeedbackGiven,
    MessageAdded,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import ERASED, ContentPart, Message
from send2llm.domain.money import ZERO
from send2llm.domain.prompt_template_events import TemplateRetired, TemplateVersionAdded
from send2llm.domain.provider_budget_events import (
    AllowanceGranted,
    AllowanceLapsed,
    AllowanceRenewed,
    AllowanceSettled,
    BalanceCarriedOver,
    BudgetExhausted,
    LimitChanged,
    OverrunRecorded,
    PeriodClosed,
    PeriodOpened,
    ThresholdReached,
)
from send2llm.domain.routing import Attempt

__all__ = [
    "ERASED",
    "ZERO",
    "AllowanceClosed",
    "AllowanceGranted",
    "AllowanceLapsed",
    "AllowanceRenewed",
    "AllowanceSettled",
    "Answer",
    "Attempt",
    "AttemptFailed",
    "BalanceCarriedOver",
    "BudgetChanged",
    "BudgetDefined",
    "BudgetExhausted",
    "BudgetRetired",
    "CompletionFailed",
    "CompletionInterrupted",
    "CompletionReceived",
    "CompletionRefused",
    "CompletionRequested",
    "ContentPart",
    "ContextShortened",
    "ConversationClosed",
    "ConversationErased",
    "ConversationStarted",
    "FeedbackGiven",
    "HoldTaken",
    "IdempotencyKeyClaimed",
    "LimitChanged",
    "Message",
    "MessageAdded",
    "OverrunRecorded",
    "PeriodClosed",
    "PeriodOpened",
    "TemplateRetired",
    "TemplateVersionAdded",
    "ThresholdReached",
    "Usage",
]
