"""The names under which events are stored, and the classes behind them.

A topic is short and stays for ever; the class may be moved and renamed. Later aggregates and users add events
of their own with ``EventRegistry.register``::

    registry = EventRegistry.default()
    registry.register("ticket.opened", TicketOpened, version=1)
"""

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import Any, Self

from cattrs.errors import StructureHandlerNotFoundError

from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined, BudgetRetired
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
from send2llm.domain.errors import UnreadableEvent
from send2llm.domain.idempotency import IdempotencyKeyClaimed
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
from send2llm.infrastructure.event_store.converter import Read, Write, event_converter
from send2llm.infrastructure.event_store.upcasts import Upcast, Upcasts


class UnknownTopic(UnreadableEvent):
    """Nothing is registered under the topic."""

    code = "unknown_topic"

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"The event store holds an event {topic!r} that this process does not know. Register its class "
            "with EventRegistry.register, or run the version of Send2LLM (and the plugins) that stored it."
        )
        self.topic = topic


class UnknownSchemaVersion(UnreadableEvent):
    """The event was stored by a newer version of its class, or by an older one that nothing leads on from."""

    code = "unknown_schema_version"

    def __init__(self, topic: str, stored: object, known: int) -> None:
        super().__init__(
            f"An event {topic!r} was stored with schema version {stored!r}; this process knows 1 to {known}. "
            "Upgrade every process of Send2LLM to the version that stored it."
        )
        self.topic = topic
        self.stored = stored
        self.known = known


@dataclass(frozen=True, slots=True)
class EventType:
    """A registered event: its topic, class, current schema version, and how it is written and read."""

    topic: str
    event_class: type
    version: int
    write: Write
    read: Read


class EventRegistry:
    """Topics and classes of events, both ways."""

    def __init__(self) -> None:
        self.converter = event_converter()
        """How values of event fields are written and read; types of one's own may add hooks."""
        self.upcasts = Upcasts()
        self._by_topic: dict[str, EventType] = {}
        self._by_class: dict[type, EventType] = {}

    @classmethod
    def default(cls) -> Self:
        """A registry of the events that Send2LLM knows by itself, to which more can be added."""
        registry = cls()
        registry.register("conversation.started", ConversationStarted)
        registry.register("conversation.message_added", MessageAdded)
        registry.register("conversation.context_shortened", ContextShortened)
        for version in (1, 2):  # each added a field that has a default
            registry.upcast("conversation.completion_requested", version, lambda data: data)
        registry.register("conversation.completion_requested", CompletionRequested, version=3)
        registry.register("conversation.attempt_failed", AttemptFailed)
        registry.register("conversation.completion_received", CompletionReceived)
        registry.register("conversation.completion_failed", CompletionFailed)
        registry.register("conversation.completion_interrupted", CompletionInterrupted)
        registry.register("conversation.completion_refused", CompletionRefused)
        registry.register("conversation.feedback_given", FeedbackGiven)
        registry.register("conversation.closed", ConversationClosed)
        registry.register("conversation.erased", ConversationErased)
        registry.register("idempotency.key_claimed", IdempotencyKeyClaimed)
        registry.register("budget_plan.defined", BudgetDefined)
        registry.register("budget_plan.changed", BudgetChanged)
        registry.register("budget_plan.retired", BudgetRetired)
        registry.register("budget.period_opened", PeriodOpened)
        registry.register("budget.balance_carried_over", BalanceCarriedOver)
        registry.register("budget.limit_changed", LimitChanged)
        registry.register("budget.allowance_granted", AllowanceGranted)
        registry.register("budget.allowance_renewed", AllowanceRenewed)
        registry.register("budget.allowance_settled", AllowanceSettled)
        registry.register("budget.allowance_lapsed", AllowanceLapsed)
        registry.register("budget.overrun_recorded", OverrunRecorded)
        registry.register("budget.threshold_reached", ThresholdReached)
        registry.register("budget.exhausted", BudgetExhausted)
        registry.register("budget.period_closed", PeriodClosed)
        registry.register("allowance.hold_taken", HoldTaken)
        registry.register("allowance.closed", AllowanceClosed)
        registry.register("template.version_added", TemplateVersionAdded)
        registry.register("template.retired", TemplateRetired)
        return registry

    def register(self, topic: str, event_class: type, version: int = 1) -> None:
        """Store events of ``event_class`` (a dataclass) under ``topic``, with ``version`` of its schema.

        Upcasts from all earlier versions must be registered before (``upcast``). Raises ``ValueError`` for a
        topic or class that is taken and for missing upcasts, ``TypeError`` for a class that cannot be stored.
        """
        if topic in self._by_topic or event_class in self._by_class:
            raise ValueError(f"{topic!r} or {event_class.__qualname__} is registered already.")
        if not is_dataclass(event_class):
            raise TypeError(f"{event_class.__qualname__} must be a dataclass to be stored as an event.")
        if missing := self.upcasts.missing(topic, version):
            raise ValueError(f"{topic!r} version {version} needs upcasts from the versions {missing} first.")
        try:
            write = self.converter.get_unstructure_hook(event_class)
            read = self.converter.get_structure_hook(event_class)
        except StructureHandlerNotFoundError as error:
            raise TypeError(
                f"{event_class.__qualname__} cannot be stored: {error} Use str, int, float, bool, Decimal, "
                "UUID, datetime, Mapping[str, Any], tuple[X, ...] and dataclasses, or register hooks with "
                "EventRegistry.converter."
            ) from error
        event_type = EventType(topic, event_class, version, write, read)
        self._by_topic[topic] = self._by_class[event_class] = event_type

    def upcast(self, topic: str, from_version: int, upcast: Upcast) -> None:
        """Say how stored data of ``from_version`` becomes data of the next version; before ``register``."""
        self.upcasts.register(topic, from_version, upcast)

    def of_topic(self, topic: str) -> EventType:
        """The type stored under ``topic``; raises ``UnknownTopic``."""
        try:
            return self._by_topic[topic]
        except KeyError:
            raise UnknownTopic(topic) from None

    def version_of(self, topic: str) -> int | None:
        """The present schema version of a topic, ``None`` when it is not registered."""
        known = self._by_topic.get(topic)
        return None if known is None else known.version

    def of_event(self, event: Any) -> EventType:
        """The type of an event; raises ``TypeError`` when its class is not registered."""
        try:
            return self._by_class[type(event)]
        except KeyError:
            raise TypeError(
                f"{type(event).__qualname__} has no topic; register it with EventRegistry.register."
            ) from None

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._by_topic.values())
