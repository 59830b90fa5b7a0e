"""What a call holds before it is sent: of every budget that covers it, or of none.

Spending from what is lent is memory, and waits for nothing. Only a process that lacks money asks a budget.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from send2llm.application.budgets.call_bounds import CallBound, CallBounds, Transcript
from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.lender import Lender
from send2llm.application.budgets.patient_borrower import PatientBorrower
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.budgets.purse import CallHold, HeldFrom, Purse, Slice
from send2llm.application.context import Context
from send2llm.application.ports import Clock
from send2llm.domain.budget_period import Period
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_scope import BudgetedCall
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import BudgetPeriodIsClosed, StaleBudget

DIRECTORY_LASTS = 15.0
"""Seconds after which a process that was not told of changes, because it was paused, asks before it goes on.

Longer than events wait for a database that has gone away: a short outage shall not become an error here.
"""

_PERIODS_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Asking:
    """One attempt that is about to be made: who is to be asked what, for whom."""

    completion_id: UUID
    attempt: int
    provider: str
    model: str
    transcript: Transcript
    parameters: Parameters
    context: Context


class Holds:
    """The money of this process, and what its calls hold of it."""

    def __init__(
        self,
        directory: BudgetDirectory,
        bounds: CallBounds,
        lender: Lender,
        borrower: PatientBorrower,
        clock: Clock,
        policy: BudgetPolicy,
    ) -> None:
        self._directory = directory
        self._bounds = bounds
        self._lender = lender
        self._borrower = borrower
        self._clock = clock
        self._policy = policy
        self._purses: dict[tuple[UUID, str], Purse] = {}
        self._periods: dict[UUID, Period] = {}
        self._refreshed_at = clock.monotonic()

    async def refresh(self) -> None:
        """Take note of budgets that were changed elsewhere; raises ``StoreUnavailable``."""
        now = self._clock.monotonic()
        await self._directory.refresh()
        self._refreshed_at = now

    async def take(self, asking: Asking) -> CallHold | None:
        """Hold the most that the attempt can cost; ``None`` when no budget covers it, or it costs nothing.

        Raises ``BudgetExceeded``, ``CannotBound``, ``StoreUnavailable``; then nothing is held.
        """
        if self._clock.monotonic() - self._refreshed_at > DIRECTORY_LASTS:
            await self.refresh()
        context = asking.context
        plans = self._directory.covering(
            BudgetedCall(asking.provider, asking.model, tenant=context.tenant, actor=context.actor)
        )
        if not plans:
            return None
        bound = self._bounds.of(asking.provider, asking.model, asking.transcript, asking.parameters)
        return None if bound is None else await self._all_or_none(plans, asking, bound)

    async def _all_or_none(self, plans: Sequence[BudgetPlan], asking: Asking, bound: CallBound) -> CallHold:
        """One budget after the other, always in the same order. A later one that has less shortens the answer."""
        hold_id = f"{asking.completion_id}/{asking.attempt}"
        parts: list[HeldFrom] = []
        try:
            for plan in plans:
                part = await self._one(plan, hold_id, bound)
                parts.append(part)
                held = part.slice.holds[hold_id]
                if held < bound.most:
                    bound = bound.within(held)
        except BaseException:  # a cancelled caller holds nothing either
            for part in parts:
                part.slice.end(hold_id, 0)
            raise
        for part in parts:
            part.slice.shrink(hold_id, bound.most)
        return CallHold(asking.completion_id, asking.attempt, bound.most, bound.output_limit, parts)

    async def _one(self, plan: BudgetPlan, hold_id: str, bound: CallBound) -> HeldFrom:
        period = self._period(plan)
        for _ in range(_PERIODS_AHEAD):
            purse = self._purse(plan, period)
            found = purse.take(hold_id, bound.most)
            if found is not None:
                return HeldFrom(purse, found)
            try:
                found = await self._borrower.hold(plan, purse, hold_id, bound)
                return HeldFrom(purse, found)
            except BudgetPeriodIsClosed:  # the clock goes slow here, or back: what is closed stays closed
                period = plan.recurrence.after(period)
        raise StaleBudget(plan.id)

    def _period(self, plan: BudgetPlan) -> Period:
        """The period that runs now; to compute it takes longer than all the rest."""
        now = self._clock.now()
        known = self._periods.get(plan.id)
        if known is None or now not in known:
            known = self._periods[plan.id] = plan.recurrence.containing(now)
        return known

    def _purse(self, plan: BudgetPlan, period: Period) -> Purse:
        key = (plan.id, period.key)
        purse = self._purses.get(key)
        if purse is None:
            purse = self._purses[key] = Purse(plan.id, period, self._clock.monotonic)
        return purse

    # Money that is not needed

    def lose(self, allowance_id: UUID) -> None:
        """The store says that an allowance was taken away: nothing is held from it any more."""
        for purse in self._purses.values():
            found = purse.find(allowance_id)
            if found is not None:
                purse.lose(found)

    async def recalled(self, budget_id: UUID, period_key: str) -> None:
        """Another process lacks money: bring home all that no call here needs now. Raises as ``tidy`` does."""
        purse = self._purses.get((budget_id, period_key))
        if purse is not None:
            await self._bring_home(purse, [one for one in purse.slices if one.free > 0 or one.retired])

    async def tidy(self) -> None:
        """Bring home what lies idle, renew what runs long, tell of overruns; call it a few times a second.

        Raises ``StaleBudget``, ``StoreUnavailable``: nothing is lost, the next call goes on.
        """
        for key, purse in list(self._purses.items()):
            await self._bring_home(purse, self._done_with(purse))
            if not purse.slices and purse.period != self._periods.get(purse.budget_id):
                self._purses.pop(key, None)

    async def close(self) -> None:
        """Bring home everything; the last calls have ended. Raises as ``tidy`` does."""
        for purse in list(self._purses.values()):
            await self._bring_home(purse, purse.slices)

    def _done_with(self, purse: Purse) -> list[Slice]:
        """The slices that it is time to talk about."""
        now = self._clock.monotonic()
        plan = self._directory.plan(purse.budget_id)
        over = plan is None or plan.retired or self._clock.now() not in purse.period
        return [
            one
            for one in purse.slices
            if one.overruns
            or (one.idle and (one.retired or over or now - one.used_at >= self._policy.idle))
            or (not one.lost and (self._lender.expires_soon(one) or (one.retired and one.rest > 0)))
        ]

    async def _bring_home(self, purse: Purse, slices: Iterable[Slice]) -> None:
        chosen = list(slices)
        plan = self._directory.plan(purse.budget_id)
        if not chosen or plan is None or purse.lock.locked():  # whoever borrows brings home what it can anyway
            return
        async with purse.lock:
            await self._lender.bring_home(plan, purse, chosen)
