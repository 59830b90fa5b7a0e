"""Closing the books: a period that is over, and has lent nothing any more, gets its totals."""

from datetime import timedelta
from uuid import UUID

from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.lender import ACTOR
from send2llm.application.budgets.ports import Budgets
from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.budget_period import Period
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.errors import BudgetPeriodNotFound, StaleBudget
from send2llm.domain.provider_budget import ProviderBudget

CLOCKS_DIFFER = timedelta(seconds=5)
"""The books stay open for so long, for processes whose clock is late; one that is later still spends of the next
period, because a closed one lends nothing."""


class CloseEndedPeriods:
    """Closes periods, hands over what they carry over, and has limits of running periods follow their plans."""

    def __init__(self, budgets: Budgets, directory: BudgetDirectory, clock: Clock, identifiers: Identifiers) -> None:
        self._budgets = budgets
        self._directory = directory
        self._clock = clock
        self._identifiers = identifiers

    async def __call__(self) -> int:
        """Look once at all open periods; how many were closed. Raises ``StoreUnavailable``."""
        closed = 0
        await self._budgets.catch_up(self._directory.all_open_periods)
        for plan in self._directory.plans:
            for period in self._directory.open_periods(plan.id):
                try:
                    closed += await self._look_after(plan, period)
                except StaleBudget:
                    continue  # another process was first; the next look finds what is left to do
        return closed

    async def _look_after(self, plan: BudgetPlan, period: Period) -> bool:
        budget = await self._period(plan.id, period.key)
        if budget is None or budget.closed:
            return False
        if period.end is None or self._clock.now() < period.end + CLOCKS_DIFFER:
            await self._bring_up_to_date(plan, budget)
            return False
        if budget.outstanding:
            return False
        budget.close()
        following = await self._period(plan.id, plan.recurrence.after(period).key)
        changed = [budget]
        if following is not None and following.awaits_carry_over:
            following.receive_carry_over(period.key, budget.carried_forward)
            changed.append(following)
        await self._budgets.save(*changed, context=self._context())
        return True

    async def _bring_up_to_date(self, plan: BudgetPlan, budget: ProviderBudget) -> None:
        """What a running period has missed, because it was opened while something else was changed."""
        if not plan.retired and budget.balance.limit != plan.limit:
            budget.change_limit((await self._budgets.plan(plan.id)).limit)
        if budget.awaits_carry_over and budget.period.start is not None:
            before = await self._period(plan.id, plan.recurrence.before(budget.period).key)
            if before is not None and before.closed:
                budget.receive_carry_over(before.period.key, before.carried_forward)
        await self._budgets.save(budget, context=self._context())

    async def _period(self, budget_id: UUID, period_key: str) -> ProviderBudget | None:
        try:
            return await self._budgets.period(budget_id, period_key, fresh=False)
        except BudgetPeriodNotFound:
            return None

    def _context(self) -> Context:
        return Context(self._identifiers.new(), actor=ACTOR)
