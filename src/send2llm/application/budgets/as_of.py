"""Budgets as they were, folded from their events."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from send2llm.application.budgets.ports import BudgetChange
from send2llm.application.budgets.queries import BudgetReport, untouched
from send2llm.application.context import RecordedEvent
from send2llm.application.moments import Moment
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_plan_events import BudgetDefined
from send2llm.domain.errors import BudgetPeriodNotFound
from send2llm.domain.provider_budget import ProviderBudget


class BudgetLog(Protocol):
    """The stored events of budgets: a part of ``Budgets``. Every method raises ``StoreUnavailable``."""

    async def events(self, budget_id: UUID, period_key: str | None = None) -> Sequence[RecordedEvent]:
        """The events of a plan, or of one of its periods, in their order; none if there is no such stream."""
        ...

    async def changes(self, after: int) -> Sequence[BudgetChange]:
        """All plan events, and openings and closings of periods, after a position of the log, in its order."""
        ...


class BudgetAsOf:
    """Asks where budgets stood.

    What calls held and had spent by then is not told: the read model that knows it knows the present. ``settled`` and
    ``lent`` are exact.
    """

    def __init__(self, budgets: BudgetLog) -> None:
        self._budgets = budgets

    async def all(self, moment: Moment, *, retired: bool = False) -> Sequence[BudgetReport]:
        """Every budget that there was, with the period that ran then, in the order in which they were defined."""
        changes = await self._budgets.changes(0)
        defined = [
            change.budget_id
            for change in changes
            if isinstance(change.event, BudgetDefined) and change.position <= moment.position
        ]
        reports = [await self.one(budget_id, moment) for budget_id in dict.fromkeys(defined)]
        return [report for report in reports if retired or not report.plan.retired]

    async def one(self, budget_id: UUID, moment: Moment, period_key: str | None = None) -> BudgetReport:
        """Where a budget stood, in the period that ran then or that of the key.

        Raises as ``BudgetQueries.one`` does, and ``BudgetNotFound`` when there was no such budget yet.
        """
        told = _up_to(moment, await self._budgets.events(budget_id))
        plan = BudgetPlan.fold(budget_id, [one.event for one in told])  # type: ignore[misc] # the stream vouches for them
        running = plan.recurrence.containing(moment.time)
        period = running if period_key is None else plan.recurrence.named(period_key)
        entered = _up_to(moment, await self._budgets.events(budget_id, period.key))
        if not entered:
            if period != running:
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


def _up_to(moment: Moment, events: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
    return [event for event in events if event.position <= moment.position]
