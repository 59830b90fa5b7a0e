"""The periods of budgets, opened when they are first needed."""

from decimal import Decimal

from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.ports import Budgets
from send2llm.domain.budget_period import Period
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.errors import BudgetPeriodNotFound
from send2llm.domain.money import ZERO
from send2llm.domain.provider_budget import ProviderBudget


class Opening:
    """Gives the books of a period, new ones when there are none yet; who saves them first has opened it."""

    def __init__(self, budgets: Budgets, directory: BudgetDirectory) -> None:
        self._budgets = budgets
        self._directory = directory

    async def period(self, plan: BudgetPlan, period: Period, *, fresh: bool) -> ProviderBudget:
        """The period of the plan's budget; raises ``BudgetIsRetired``, ``StoreUnavailable``."""
        try:
            return await self._budgets.period(plan.id, period.key, fresh=fresh)
        except BudgetPeriodNotFound:
            terms = await self._budgets.plan(plan.id)  # its limit may have changed a moment ago
            return ProviderBudget.open(terms, period, await self._carried_over(terms, period))

    async def _carried_over(self, plan: BudgetPlan, period: Period) -> Decimal:
        """What the time before left over; 0 while the period before is still open, which tells later."""
        if not plan.carry_over or not self._directory.was_ever_opened(plan.id):
            return ZERO
        try:
            before = await self._budgets.period(plan.id, plan.recurrence.before(period).key)
        except BudgetPeriodNotFound:
            return plan.limit  # nothing was spent in it, and no more than the limit is ever carried over
        return before.carried_forward
