"""Logs about money, made event by event: right ones, and such as are wrong in one place.

::

    log = MoneyLog(defined=defined(), opened=opened(), lent=granted(1, "4"))
    log.changed("lent", amount_usd=usd("40")).recorded()

Events go to the streams that they belong to; holds and closings to allowance 1, unless ``of_allowance`` says another.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined, BudgetRetired
from send2llm.domain.conversation_events import CompletionReceived, CompletionRequested
from send2llm.domain.money import ZERO
from send2llm.domain.provider_budget_events import PeriodClosed, PeriodOpened, ProviderBudgetEvent
from send2llm.domain.routing import PaidBy
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.streams import (
    allowance_stream,
    budget_plan_stream,
    budget_stream,
    conversation_stream,
)
from send2llm.testing.budget_stories import (
    BUDGET,
    NOON,
    NOVEMBER,
    SCOPE,
    allowance,
    granted,
    hold,
    opened,
    settled,
    usd,
)
from send2llm.testing.conversation_stories import CONVERSATION, answered, asked

YESTERDAY = NOON - timedelta(days=1)

Entry = object | tuple[str, object]
"""An event, or a stream and an event."""


def defined(limit: str = "10", **terms: Any) -> BudgetDefined:
    """The budget of the stories was set up; ``terms`` are fields of the event."""
    event = BudgetDefined(
        scope=SCOPE, limit_usd=usd(limit), recurrence=Recurrence("month"), carry_over=False, thresholds=()
    )
    return replace(event, **terms)


def of_allowance(number: int, event: HoldTaken | AllowanceClosed) -> tuple[str, object]:
    """An event in the stream of that allowance."""
    return allowance_stream(allowance(number)), event


class MoneyLog:
    """Named events in their order. What is changed, left out or put in makes another log."""

    def __init__(self, **events: Entry) -> None:
        self._events = events

    def changed(self, name: str, **fields: Any) -> Self:
        """One event with other fields."""
        stream, event = _entry(self._events[name])
        changed: Any = replace(event, **fields)  # type: ignore[type-var] # every event is a dataclass
        return type(self)(**{**self._events, name: (stream, changed)})

    def without(self, *names: str) -> Self:
        """Some events less."""
        return type(self)(**{name: event for name, event in self._events.items() if name not in names})

    def after(self, name: str, **more: Entry) -> Self:
        """More events behind one of them."""
        events: dict[str, Entry] = {}
        for known, event in self._events.items():
            events[known] = event
            if known == name:
                events |= more
        return type(self)(**events)

    def then(self, **more: Entry) -> Self:
        """More events at the end."""
        return type(self)(**self._events, **more)

    def place(self, name: str) -> tuple[str, int]:
        """The stream and the position of an event."""
        return _entry(self._events[name])[0], list(self._events).index(name) + 1

    def recorded(self) -> Sequence[RecordedEvent]:
        """The log as it is read."""
        versions: Counter[str] = Counter()
        log = []
        for position, entry in enumerate(self._events.values(), 1):
            stream, event = _entry(entry)
            versions[stream] += 1
            metadata = _metadata(position, event)
            log.append(RecordedEvent(position, stream, versions[stream], "", event, metadata))
        return log

    def stored(self, codec: EventCodec) -> list[StoredEvent]:
        """The log as it is stored, for databases that nobody else writes to."""
        return [codec.encode(one.stream, one.version, one.event, one.metadata) for one in self.recorded()]


def _entry(entry: Entry) -> tuple[str, object]:
    if isinstance(entry, tuple):
        return entry
    match entry:
        case BudgetDefined() | BudgetChanged() | BudgetRetired():
            return budget_plan_stream(BUDGET), entry
        case PeriodOpened():
            return budget_stream(BUDGET, entry.period.key), entry
        case HoldTaken() | AllowanceClosed():
            return allowance_stream(allowance(1)), entry
        case event if isinstance(event, ProviderBudgetEvent):
            return budget_stream(BUDGET, NOVEMBER.key), event
    return conversation_stream(CONVERSATION), entry


def _metadata(position: int, event: object) -> Metadata:
    """A budget was set up long before anything else happened, so that every process knows of it."""
    moment: datetime = YESTERDAY if isinstance(event, BudgetDefined) else NOON + timedelta(seconds=position)
    return Metadata(UUID(int=position), moment, UUID(int=0), None, "ann", "acme")


PAYS = (PaidBy(BUDGET, NOVEMBER.key),)


def paid(number: int, amount: str = "1", **more: Any) -> CompletionRequested:
    """A call that the budget holds so much for."""
    return asked(number, hold_usd=usd(amount), paid_by=PAYS, **more)


def costs(number: int, cost: str, **more: Any) -> CompletionReceived:
    """Its answer."""
    return answered("Hello", number, cost_usd=usd(cost), **more)


def period_closed(settled_usd: str, **more: Decimal) -> PeriodClosed:
    """Books were closed; ``more`` are fields of the event, 0 unless they are given."""
    nothing = dict.fromkeys(("carried_over_usd", "assumed_usd", "overrun_usd", "carried_forward_usd"), ZERO)
    return PeriodClosed(**{"limit_usd": usd("10"), **nothing, "settled_usd": usd(settled_usd), **more})


RIGHT = MoneyLog(
    defined=defined(),
    opened=opened(),
    lent=granted(1, "4"),
    asked=paid(1),
    held=hold(1),
    answered=costs(1, "0.25"),
    asked_again=paid(2),
    held_again=hold(2),
    answered_again=costs(2, "0.5"),
    settled=settled(1, "0.75", returned="3.25"),
    closed=period_closed("0.75"),
)
"""Two calls, an allowance that was settled, and books that were closed."""
