"""Money of processes that are gone, or were away for too long: any living process settles it, exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.lender import ACTOR, TRIES
from send2llm.application.budgets.ports import BudgetObserver, Budgets
from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.application.recovery import Processes
from send2llm.application.time_travel import ConversationLog
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.attempt_costs import attempt_costs
from send2llm.domain.budget_books import OutstandingAllowance
from send2llm.domain.errors import AllowanceAlreadyEnded, AllowanceNotFound, BudgetPeriodNotFound, StaleBudget
from send2llm.domain.money import ZERO
from send2llm.domain.pico_dollars import dollars, pico_dollars
from send2llm.domain.provider_budget import ProviderBudget

CLOCKS_DIFFER = timedelta(seconds=1)
"""An expiry is given by one machine's clock and read by another's. It is no more than courtesy: the fence is what keeps
money from being spent twice."""


@dataclass(slots=True)
class _Count:
    """What the holds of an allowance came to; whole pico-dollars."""

    spent: int = 0
    assumed: int = 0
    assumed_holds: list[str] = field(default_factory=list)
    overruns: dict[str, int] = field(default_factory=dict)

    def add(self, hold: HoldTaken, cost: Decimal | None) -> None:
        """Count one hold at what its attempt cost, or whole where nobody knows."""
        amount = pico_dollars(hold.amount_usd)
        if cost is None:
            self.assumed += amount
            self.assumed_holds.append(hold.hold_id)
            return
        spent = pico_dollars(cost)
        self.spent += spent
        if spent > amount:
            self.overruns[hold.hold_id] = spent - amount


class SettleAbandonedAllowances:
    """Closes the allowances of dead processes, and of any that has not renewed in time, and counts their holds.

    A call whose end is recorded counts at its cost, another one at its hold: so a crash makes a budget more careful,
    never looser. A process that only lost its connection to the database looks dead for a moment, so each is looked at
    twice, ``patience`` seconds apart; and should it come back, it can hold nothing from what was closed.
    """

    def __init__(
        self,
        budgets: Budgets,
        directory: BudgetDirectory,
        log: ConversationLog,
        processes: Processes,
        clock: Clock,
        identifiers: Identifiers,
        observer: BudgetObserver,
        *,
        patience: float = 2.0,
    ) -> None:
        self._budgets = budgets
        self._directory = directory
        self._log = log
        self._processes = processes
        self._clock = clock
        self._identifiers = identifiers
        self._observer = observer
        self._patience = patience

    async def __call__(self) -> int:
        """Look once at all open periods; how many allowances were settled. Raises ``StoreUnavailable``."""
        suspects = await self._suspects()
        if suspects:
            await self._clock.sleep(self._patience)
            suspects = [one for one in await self._suspects() if one in suspects]
        settled = 0
        for budget_id, period_key, allowance_id in suspects:
            settled += await self._settle(budget_id, period_key, allowance_id)
        return settled

    async def _suspects(self) -> Sequence[tuple[UUID, str, UUID]]:
        latest = self._clock.now() - CLOCKS_DIFFER
        lives: dict[str, bool] = {}
        found: list[tuple[UUID, str, UUID]] = []
        periods = self._directory.all_open_periods
        await self._budgets.catch_up(periods)
        for budget_id, period_key in periods:
            for allowance_id, lent in (await self._outstanding(budget_id, period_key)).items():
                if lent.holder not in lives:
                    lives[lent.holder] = await self._processes.is_alive(lent.holder)
                if not lives[lent.holder] or lent.expires_at <= latest:
                    found.append((budget_id, period_key, allowance_id))
        return found

    async def _outstanding(self, budget_id: UUID, period_key: str) -> dict[UUID, OutstandingAllowance]:
        try:
            return dict((await self._budgets.period(budget_id, period_key, fresh=False)).outstanding)
        except BudgetPeriodNotFound:
            return {}

    async def _settle(self, budget_id: UUID, period_key: str, allowance_id: UUID) -> bool:
        """False when it was settled otherwise meanwhile; the next look finds what is left to do."""
        try:
            count = await self._counted(await self._closed(allowance_id))
            for _ in range(TRIES):
                budget = await self._budgets.period(budget_id, period_key)
                try:
                    await self._lapse(budget, allowance_id, count)
                except StaleBudget:
                    continue
                return True
        except (AllowanceAlreadyEnded, AllowanceNotFound):
            pass
        return False

    async def _closed(self, allowance_id: UUID) -> Sequence[HoldTaken]:
        """All that was ever held: nothing can be added any more."""
        allowance = await self._budgets.close_allowance(allowance_id, "lapsed", context=self._context())
        return list(allowance.holds.values())

    async def _counted(self, holds: Sequence[HoldTaken]) -> _Count:
        count = _Count()
        for hold in holds:
            recorded = await self._log.events_of(hold.conversation_id)
            costs = attempt_costs(event.event for event in recorded)  # type: ignore[misc] # the stream vouches for them
            found = costs.get(hold.hold_id)
            count.add(hold, found.cost_usd if found is not None and found.known else None)
        return count

    async def _lapse(self, budget: ProviderBudget, allowance_id: UUID, count: _Count) -> None:
        lent = budget.outstanding.get(allowance_id)
        for hold_id, amount in count.overruns.items():
            budget.record_overrun(allowance_id, dollars(amount), hold_id)
        budget.lapse(
            allowance_id,
            spent=dollars(count.spent),
            assumed=dollars(count.assumed),
            assumed_holds=count.assumed_holds,
        )
        await self._budgets.save(budget, context=self._context())
        for amount in count.overruns.values():
            self._observer.overrun_recorded(budget.budget_id, budget.period.key, dollars(amount))
        self._observer.allowance_lapsed(
            budget.budget_id, budget.period.key, lent.holder if lent else "", dollars(count.assumed) or ZERO
        )

    def _context(self) -> Context:
        return Context(self._identifiers.new(), actor=ACTOR)
