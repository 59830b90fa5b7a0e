"""Which budgets there are, in the memory of a process: followed from the log of events, never from a projection."""

from collections.abc import Sequence
from uuid import UUID

from send2llm.application.budgets.ports import BudgetChange, Budgets
from send2llm.domain.budget_period import Period
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_scope import BudgetedCall, BudgetScope, scopes_of
from send2llm.domain.provider_budget_events import PeriodClosed, PeriodOpened


class BudgetDirectory:
    """Every plan, and the periods of each that are open.

    It knows what was stored up to its last ``refresh``; another process's change counts here once that has run again,
    which the service sees to every second.
    """

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._position = 0
        self._plans: dict[UUID, BudgetPlan] = {}
        self._by_scope: dict[BudgetScope, tuple[BudgetPlan, ...]] = {}
        self._open: dict[UUID, dict[str, Period]] = {}
        """By budget: there is an entry, however empty, for each that ever had a period."""

    async def refresh(self) -> None:
        """Take in what is new; raises ``StoreUnavailable``."""
        changes = await self._budgets.changes(self._position)
        fresh = [change for change in changes if change.position > self._position]  # two refreshes may have crossed
        for change in fresh:
            self._take_in(change)
            self._position = change.position
        if fresh:
            self._by_scope = _by_scope(list(self._plans.values()))

    def covering(self, call: BudgetedCall) -> Sequence[BudgetPlan]:
        """The plans of all budgets that the call must fit, none when nothing limits it."""
        if not self._by_scope:
            return ()
        return [plan for scope in scopes_of(call) for plan in self._by_scope.get(scope, ())]

    @property
    def plans(self) -> Sequence[BudgetPlan]:
        """All plans, the retired ones too, in the order in which they were defined. Not to be changed."""
        return list(self._plans.values())

    def plan(self, budget_id: UUID) -> BudgetPlan | None:
        """The plan of that budget, not to be changed; ``None`` when it is not known here."""
        return self._plans.get(budget_id)

    def open_periods(self, budget_id: UUID) -> Sequence[Period]:
        """The periods of a budget whose books are open, the first one first."""
        return sorted(
            self._open.get(budget_id, {}).values(), key=lambda period: (period.start is not None, period.start)
        )

    @property
    def all_open_periods(self) -> Sequence[tuple[UUID, str]]:
        """The budgets, and the keys of their periods, whose books are open."""
        return [(budget_id, key) for budget_id, periods in self._open.items() for key in periods]

    def was_ever_opened(self, budget_id: UUID) -> bool:
        """Whether the budget ever had a period."""
        return budget_id in self._open

    def _take_in(self, change: BudgetChange) -> None:
        match change.event:
            case PeriodOpened(period=period):
                self._open.setdefault(change.budget_id, {})[period.key] = period
            case PeriodClosed():
                self._open.get(change.budget_id, {}).pop(change.period_key or "", None)
            case event:
                self._plans.setdefault(change.budget_id, BudgetPlan(change.budget_id)).follow((event,))


def _by_scope(plans: Sequence[BudgetPlan]) -> dict[BudgetScope, tuple[BudgetPlan, ...]]:
    by_scope: dict[BudgetScope, tuple[BudgetPlan, ...]] = {}
    for plan in plans:
        if not plan.retired:
            by_scope[plan.scope] = (*by_scope.get(plan.scope, ()), plan)
    return by_scope
