"""A budget as it was, folded from its events."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from send2llm.application.budgets.ports import Budgets
from send2llm.application.budgets.queries import BudgetReport, untouched
from send2llm.application.context import RecordedEvent
from send2llm.application.feed import EventFeed
from send2llm.application.ports import Clock
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.errors import BudgetPeriodNotFound
from send2llm.domain.provider_budget import ProviderBudget

Happened = Callable[[RecordedEvent], bool]


class BudgetAsOf:
    """Asks where a budget stood.

    What calls held and had spent by then is not told: the read model that knows it knows the present. ``settled`` and
    ``lent`` are exact. Every method raises as ``BudgetQueries.one`` does, and ``BudgetNotFound`` when there was no such
    budget yet.
    """

    def __init__(self, budgets: Budgets, feed: EventFeed, clock: Clock) -> None:
        self._budgets = budgets
        self._feed = feed
        self._clock = clock

    async def time(self, budget_id: UUID, moment: datetime, period_key: str | None = None) -> BudgetReport:
        """After all that happened up to ``moment``, in the period that ran then or that of the key."""
        return await self._report(budget_id, moment, period_key, lambda event: event.metadata.occurred_at <= moment)

    async def position(self, budget_id: UUID, position: int, period_key: str | None = None) -> BudgetReport:
        """After the event at that position of the log, in the period that ran then or that of the key.

        A higher position than there is, is the present.
        """
        moment = self._clock.now()
        if position < await self._feed.head():
            (reached,) = await self._feed.read(max(position - 1, 0), 1)
            moment = reached.metadata.occurred_at
        return await self._report(budget_id, moment, period_key, lambda event: event.position <= position)

    async def _report(
        self, budget_id: UUID, moment: datetime, period_key: str | None, happened: Happened
    ) -> BudgetReport:
        told = _up_to(await self._budgets.events(budget_id), happened)
        plan = BudgetPlan.fold(budget_id, [one.event for one in told])  # type: ignore[misc] # the stream vouches for them
        period = plan.recurrence.containing(moment) if period_key is None else plan.recurrence.named(period_key)
        entered = _up_to(await self._budgets.events(budget_id, period.key), happened)
        if not entered:
            if period != plan.recurrence.containing(moment):
                raise BudgetPeriodNotFound(budget_id, period.key)
            return untouched(plan, period, past=True)
        budget = ProviderBudget.fold(budget_id, period.key, [one.event for one in entered])  # type: ignore[misc] # as above
        return BudgetReport(
            plan=plan,
            period=budget.period,
            balance=budget.balance,
            closed=budget.closed,
            exhausted=budget.exhausted,
            refused=budget.refused,
            thresholds_reached=sorted(budget.thresholds_reached),
            use=None,
            exhausted_at=None,
            past=True,
        )


def _up_to(events: Sequence[RecordedEvent], happened: Happened) -> Sequence[RecordedEvent]:
    """Clocks may disagree by a little: the last event that had happened brings along all before it."""
    last = next((place for place in reversed(range(len(events))) if happened(events[place])), -1)
    return events[: last + 1]
