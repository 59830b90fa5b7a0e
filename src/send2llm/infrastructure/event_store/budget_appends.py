"""What the store is given when budgets are saved: the new events of plans, periods and allowances."""

from collections.abc import Iterable
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.allowance_events import AllowanceClosed, ClosingReason
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.infrastructure.event_store.append import BEHIND_THE_LAST, Append
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.event_rows import EventRows
from send2llm.infrastructure.event_store.streams import allowance_stream, budget_plan_stream, budget_stream

PLAN_TOPICS = ("budget_plan.defined", "budget_plan.changed", "budget_plan.retired")
PERIOD_TOPICS = ("budget.period_opened", "budget.period_closed")

CHANGE_TOPICS = (*PLAN_TOPICS, *PERIOD_TOPICS)
"""Topics of what changes which budgets there are."""


class BudgetAppends:
    """Turns the new events of any number of aggregates into one append."""

    def __init__(self, codec: EventCodec, clock: Clock, identifiers: Identifiers) -> None:
        self._rows = EventRows(codec, clock, identifiers)

    def make(self, changed: Iterable[BudgetPlan | ProviderBudget], context: Context) -> Append | None:
        """Collect their new events; ``None`` when there is nothing to store."""
        rows: list[StoredEvent] = []
        for aggregate in changed:
            version, events = aggregate.collect()
            stream = stream_of(aggregate)
            rows += [self._rows.row(stream, version + n, event, context) for n, event in enumerate(events, 1)]
        return Append(rows) if rows else None

    def close(self, allowance_id: UUID, reason: ClosingReason, context: Context) -> Append:
        """Close an allowance, behind whatever was held from it."""
        closed = AllowanceClosed(reason=reason)
        return Append([self._rows.row(allowance_stream(allowance_id), BEHIND_THE_LAST, closed, context)])


def stream_of(aggregate: BudgetPlan | ProviderBudget) -> str:
    """The stream of an aggregate's events."""
    if isinstance(aggregate, BudgetPlan):
        return budget_plan_stream(aggregate.id)
    return budget_stream(aggregate.budget_id, aggregate.period.key)
