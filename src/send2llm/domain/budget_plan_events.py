"""The events of a budget plan: how a budget came to be what it is. Amounts are US dollars."""

from dataclasses import dataclass
from decimal import Decimal

from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_scope import BudgetScope


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDefined:
    """In each period of ``recurrence``, the calls in ``scope`` may cost ``limit_usd``.

    ``carry_over``: what a period leaves over is added to the next one. ``thresholds`` are the percentages,
    ascending, at which people want to be told.
    """

    scope: BudgetScope
    limit_usd: Decimal
    recurrence: Recurrence
    carry_over: bool
    thresholds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChanged:
    """The terms from now on, those that stay as they were included."""

    limit_usd: Decimal
    carry_over: bool
    thresholds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRetired:
    """The budget limits nothing any more."""

    reason: str = ""


BudgetPlanEvent = BudgetDefined | BudgetChanged | BudgetRetired
