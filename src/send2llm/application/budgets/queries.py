"""What people ask about budgets. All figures but what runs at the moment are folded from the budget's own events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.ports import Budgets
from send2llm.application.context import RecordedEvent
from send2llm.application.ports import Clock
from send2llm.domain.budget_books import Balance
from send2llm.domain.budget_period import Period
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.errors import BudgetNotFound, BudgetPeriodNotFound
from send2llm.domain.money import ZERO
from send2llm.domain.provider_budget import ProviderBudget

RATE_OVER = timedelta(hours=1)
"""A forecast goes by what was spent in so much time."""


@dataclass(frozen=True, slots=True)
class PeriodUse:
    """What calls do with a period's money, by the cost ledger; US dollars.

    ``held_usd`` is set aside for attempts that still run, ``spent_usd`` is what ended ones cost, and
    ``lately_usd`` the part of that since a moment, ``None`` where the past was asked for.
    """

    held_usd: Decimal
    spent_usd: Decimal
    lately_usd: Decimal | None = None


class PeriodUses(Protocol):
    """The use of periods, from a read model that lags a moment behind."""

    async def period_use(self, budget_id: UUID, period_key: str, since: datetime) -> PeriodUse:
        """How a period is used; raises ``StoreUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """A budget and one of its periods.

    ``use`` is ``None`` and the balance untouched when nothing was spent in it. ``refused`` is what a call needed that
    was refused for good, the first under this limit. ``exhausted``: nothing useful is left. ``exhausted_at`` is when
    all will be spent if it goes on as in the last hour; ``None`` when it lasts until the period ends. ``past``: that is
    how it was, and there is no forecast.
    """

    plan: BudgetPlan
    period: Period
    balance: Balance
    closed: bool
    exhausted: bool
    refused: Decimal | None
    thresholds_reached: Sequence[int]
    use: PeriodUse | None
    exhausted_at: datetime | None
    past: bool = False


class BudgetQueries:
    """Answers questions about budgets. Every method raises ``StoreUnavailable``."""

    def __init__(self, budgets: Budgets, directory: BudgetDirectory, uses: PeriodUses, clock: Clock) -> None:
        self._budgets = budgets
        self._directory = directory
        self._uses = uses
        self._clock = clock

    async def all(self, *, retired: bool = False) -> Sequence[BudgetReport]:
        """Every budget with the period that runs now, in the order in which they were defined."""
        await self._directory.refresh()
        return [await self._report(plan) for plan in self._directory.plans if retired or not plan.retired]

    async def one(self, budget_id: UUID, period_key: str | None = None) -> BudgetReport:
        """A budget with the period of that key, or the one that runs now.

        Raises ``BudgetNotFound``, ``InvalidRequest`` for a key that is none, and ``BudgetPeriodNotFound`` for a
        period in which nothing was spent.
        """
        plan = await self._budgets.plan(budget_id)
        return await self._report(plan, None if period_key is None else plan.recurrence.named(period_key))

    async def events(self, budget_id: UUID, period_key: str | None = None) -> Sequence[RecordedEvent]:
        """The events of a plan, or of one of its periods; raises as ``one`` does."""
        if period_key is None:
            events = await self._budgets.events(budget_id)
            if not events:
                raise BudgetNotFound(budget_id)
            return events
        key = (await self._budgets.plan(budget_id)).recurrence.named(period_key).key
        events = await self._budgets.events(budget_id, key)
        if not events:
            raise BudgetPeriodNotFound(budget_id, key)
        return events

    async def _report(self, plan: BudgetPlan, period: Period | None = None) -> BudgetReport:
        now = self._clock.now()
        running = plan.recurrence.containing(now)
        wanted = period or running
        try:
            budget = await self._budgets.period(plan.id, wanted.key)
        except BudgetPeriodNotFound:
            if wanted != running:
                raise
            return untouched(plan, running)
        use = await self._uses.period_use(plan.id, budget.period.key, now - RATE_OVER)
        return BudgetReport(
            plan=plan,
            period=budget.period,
            balance=budget.balance,
            closed=budget.closed,
            exhausted=budget.exhausted,
            refused=budget.refused,
            thresholds_reached=sorted(budget.thresholds_reached),
            use=use,
            exhausted_at=_exhausted_at(budget, use, now),
        )


def untouched(plan: BudgetPlan, period: Period, *, past: bool = False) -> BudgetReport:
    """A period in which nothing was spent."""
    balance = Balance(plan.limit, ZERO, ZERO, ZERO, plan.limit, ZERO, ZERO, ZERO)
    return BudgetReport(plan, period, balance, False, False, None, (), None, None, past)


def _exhausted_at(budget: ProviderBudget, use: PeriodUse, now: datetime) -> datetime | None:
    """When the rest is spent at the rate of late: all but what is spent or held by running calls."""
    balance = budget.balance
    rest = balance.limit + balance.carried_over - max(use.spent_usd, balance.settled) - use.held_usd
    if budget.closed or now not in budget.period or not use.lately_usd:
        return None
    if rest <= 0:
        return now
    seconds = float(rest / use.lately_usd) * RATE_OVER.total_seconds()
    try:
        moment = now + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return moment if moment in budget.period else None
