"""Which budgets there are, so that a call that should have been held for and was not is found."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined, BudgetPlanEvent, BudgetRetired
from send2llm.domain.budget_scope import BudgetedCall, BudgetScope, scopes_of
from send2llm.domain.pico_dollars import pico_dollars

GRACE = timedelta(seconds=60)
"""Processes learn of a new budget within a second; one that was paused, or cut off from the database, within fifteen
(``DIRECTORY_LASTS``). And clocks differ."""


@dataclass(slots=True)
class _Plan:
    """``limits`` are all that it ever had: a period may be opened while a limit is being changed."""

    scope: BudgetScope
    defined_at: datetime
    limit: int
    limits: set[int]


class Plans:
    """The plans, and which calls they cover."""

    def __init__(self) -> None:
        self._plans: dict[UUID, _Plan] = {}
        self._by_scope: dict[BudgetScope, set[UUID]] = {}

    def fold(self, recorded: RecordedEvent, budget_id: UUID, event: BudgetPlanEvent) -> None:
        """Take in what people decided."""
        plan = self._plans.get(budget_id)
        match event:
            case BudgetDefined(scope=scope):
                limit = pico_dollars(event.limit_usd)
                self._plans[budget_id] = _Plan(scope, recorded.metadata.occurred_at, limit, {limit})
                self._by_scope.setdefault(scope, set()).add(budget_id)
            case BudgetChanged() if plan is not None:
                plan.limit = pico_dollars(event.limit_usd)
                plan.limits.add(plan.limit)
            case BudgetRetired() if plan is not None:
                self._by_scope[plan.scope].discard(budget_id)
            case _:
                pass

    def limit(self, budget_id: UUID, told: int) -> int | None:
        """The limit that a period may have: ``told`` if the plan ever had it, else what it has; ``None``: no plan."""
        plan = self._plans.get(budget_id)
        if plan is None:
            return None
        return told if told in plan.limits else plan.limit

    def covering(self, call: BudgetedCall, at: datetime) -> list[UUID]:
        """The budgets that every process knew of at that time and that the call has to fit."""
        return [
            budget_id
            for scope in scopes_of(call)
            for budget_id in self._by_scope.get(scope, ())
            if self._plans[budget_id].defined_at + GRACE <= at
        ]
