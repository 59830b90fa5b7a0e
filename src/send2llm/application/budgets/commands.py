"""What people do with budgets: set one up, change it, retire it."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from uuid import UUID

from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.ports import Budgets
from send2llm.application.change import TRIES
from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_plan import DEFAULT_THRESHOLDS, BudgetPlan
from send2llm.domain.budget_scope import BudgetScope
from send2llm.domain.errors import BudgetAlreadyDefined, BudgetPeriodNotFound, StaleBudget
from send2llm.domain.provider_budget import ProviderBudget


class BudgetCommands:
    """Handles the commands; each returns the plan as it is afterwards. Every method raises ``StoreUnavailable``.

    Other processes keep to what was decided here within a second.
    """

    def __init__(self, budgets: Budgets, directory: BudgetDirectory, clock: Clock, identifiers: Identifiers) -> None:
        self._budgets = budgets
        self._directory = directory
        self._clock = clock
        self._identifiers = identifiers

    async def define(
        self,
        context: Context,
        *,
        scope: BudgetScope,
        limit: Decimal,
        recurrence: Recurrence,
        carry_over: bool = False,
        thresholds: Iterable[int] = DEFAULT_THRESHOLDS,
    ) -> BudgetPlan:
        """Set up a budget.

        Raises ``InvalidRequest``, and ``BudgetAlreadyDefined`` when there is one for this scope and recurrence.
        """
        plan = BudgetPlan.define(
            self._identifiers.new(),
            scope=scope,
            limit=limit,
            recurrence=recurrence,
            carry_over=carry_over,
            thresholds=thresholds,
        )
        await self._directory.refresh()
        for known in self._directory.plans:
            if not known.retired and (known.scope, known.recurrence) == (scope, recurrence):
                raise BudgetAlreadyDefined(known.id, scope.key, recurrence.kind)
        await self._budgets.save(plan, context=context)
        await self._directory.refresh()
        return plan

    async def change(
        self,
        context: Context,
        budget_id: UUID,
        *,
        limit: Decimal | None = None,
        carry_over: bool | None = None,
        thresholds: Iterable[int] | None = None,
    ) -> BudgetPlan:
        """Change what is given; a limit counts at once, in the period that runs.

        Raises ``InvalidRequest``, ``BudgetNotFound``, ``BudgetIsRetired``.
        """
        chosen = None if thresholds is None else tuple(thresholds)

        def change(plan: BudgetPlan, running: ProviderBudget | None) -> None:
            plan.change(limit=limit, carry_over=carry_over, thresholds=chosen)
            if running is not None and not running.closed:
                running.change_limit(plan.limit)

        return await self._changed(context, budget_id, change)

    async def retire(self, context: Context, budget_id: UUID, reason: str = "") -> BudgetPlan:
        """Limit nothing any more; what is lent comes home. Raises ``BudgetNotFound``."""
        return await self._changed(context, budget_id, lambda plan, _: plan.retire(reason))

    async def _changed(
        self, context: Context, budget_id: UUID, command: Callable[[BudgetPlan, ProviderBudget | None], None]
    ) -> BudgetPlan:
        for _ in range(TRIES):
            plan = await self._budgets.plan(budget_id)
            running = await self._running(plan)
            command(plan, running)
            try:
                await self._budgets.save(plan, *([running] if running else []), context=context)
            except StaleBudget:
                continue  # processes borrow from it all the time
            await self._directory.refresh()
            return plan
        raise StaleBudget(budget_id)

    async def _running(self, plan: BudgetPlan) -> ProviderBudget | None:
        try:
            return await self._budgets.period(plan.id, plan.recurrence.containing(self._clock.now()).key)
        except BudgetPeriodNotFound:
            return None
