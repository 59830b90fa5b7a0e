"""Budgets as they were, folded from their events."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from send2llm.application.budgets.ports import BudgetLog
from send2llm.application.budgets.queries import BudgetReport, PeriodUse, untouched
from send2llm.application.moments import Moment
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_plan_events import BudgetDefined
from send2llm.domain.errors import BudgetPeriodNotFound
from send2llm.domain.provider_budget import ProviderBudget

PeriodName = tuple[UUID, str]
"""A budget and the key of one of its periods."""


class PastUses(Protocol):
    """How periods were used by calls at an earlier moment, as it was known then."""

    async def period_uses(self, moment: Moment, periods: Sequence[PeriodName]) -> Mapping[PeriodName, PeriodUse]:
        """Those of the periods of which anything was held or spent; raises ``StoreUnavailable``."""
        ...


class BudgetAsOf:
    """Asks where budgets stood."""

    def __init__(self, budgets: BudgetLog, uses: PastUses) -> None:
        self._budgets = budgets
        self._uses = uses

    async def all(self, moment: Moment, *, retired: bool = False) -> Sequence[BudgetReport]:
        """Every budget that there was, with the period that ran then, in the order in which they were defined.

        Raises ``InvalidRequest`` for a moment before the first event.
        """
        moment.require_events()
        changes = await self._budgets.changes(0)
        defined = [
            change.budget_id
            for change in changes
            if isinstance(change.event, BudgetDefined) and change.position <= moment.position
        ]
        reports = [await self._report(budget_id, moment) for budget_id in dict.fromkeys(defined)]
        return await self._with_uses(moment, [report for report in reports if retired or not report.plan.retired])

    async def one(self, budget_id: UUID, moment: Moment, period_key: str | None = None) -> BudgetReport:
        """Where a budget stood, in the period that ran then or that of the key.

        Raises as ``BudgetQueries.one`` does, and ``BudgetNotFound`` when there was no such budget yet.
        """
        (report,) = await self._with_uses(moment, [await self._report(budget_id, moment, period_key)])
        return report

    async def _with_uses(self, moment: Moment, reports: Sequence[BudgetReport]) -> Sequence[BudgetReport]:
        if not reports:
            return []
        names = [(report.plan.id, report.period.key) for report in reports]
        uses = await self._uses.period_uses(moment, names)
        return [replace(report, use=uses.get(name)) for report, name in zip(reports, names, strict=True)]

    async def _report(self, budget_id: UUID, moment: Moment, period_key: str | None = None) -> BudgetReport:
        told = moment.stored(await self._budgets.events(budget_id))
        plan = BudgetPlan.fold(budget_id, [one.event for one in told])  # type: ignore[misc] # the stream vouches for them
        running = plan.recurrence.containing(moment.time)
        period = running if period_key is None else plan.recurrence.named(period_key)
        entered = moment.stored(await self._budgets.events(budget_id, period.key))
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
