"""Between the purses of a process and the budgets: borrows what a purse lacks, and brings home what it does not need.

Every change is decided on the state of the period that it is appended to, and decided anew when another process was
first, so that however many borrow at once, no more is lent than there is.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from send2llm.application.budgets.opening import Opening
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.budgets.ports import BudgetObserver, Budgets
from send2llm.application.budgets.purse import Purse, Slice
from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.errors import (
    AllowanceAlreadyEnded,
    AllowanceNotFound,
    BudgetExceeded,
    BudgetPeriodIsClosed,
    StaleBudget,
)
from send2llm.domain.pico_dollars import dollars, pico_dollars
from send2llm.domain.provider_budget import ProviderBudget

ACTOR = "send2llm"

TRIES = 50
"""Processes that borrow from one budget at the same moment each win in turn; so many losses in a row are a storm."""

FIRST_SLICE = 16
"""A slice is for so many calls at first."""

LARGEST_SHARE = 8
"""A slice is at most this part of what is left, unless a single call needs more: others borrow, too."""

SLICE_SECONDS = 5.0
"""A slice should last about so long: then budgets are asked seldom, and not much lies idle."""


class Lender:
    """Talks to budgets for one process, the ``holder``. Its caller holds the purse's lock."""

    def __init__(
        self,
        budgets: Budgets,
        opening: Opening,
        clock: Clock,
        identifiers: Identifiers,
        policy: BudgetPolicy,
        observer: BudgetObserver,
        holder: str,
    ) -> None:
        self._budgets = budgets
        self._opening = opening
        self._clock = clock
        self._identifiers = identifiers
        self._policy = policy
        self._observer = observer
        self._holder = holder

    async def borrow(self, plan: BudgetPlan, purse: Purse, need: int) -> Slice:
        """A new slice of at least ``need``; the purse's old ones go home as far as they can.

        Raises ``BudgetExceeded``, ``BudgetPeriodIsClosed``, ``StaleBudget``, ``StoreUnavailable``.
        """
        self._size_up(purse, need)
        for attempt in range(TRIES):
            budget = await self._opening.period(plan, purse.period, fresh=attempt > 0)
            settled = self._settle_up(budget, purse, purse.slices, returning=False)
            refusal: BudgetExceeded | None = None
            granted: Slice | None = None
            try:
                granted = self._grant(budget, purse, need)
            except BudgetExceeded as error:
                refusal = error
            if not await self._saved(budget, purse, settled):
                continue
            if refusal is not None:
                if attempt == 0:  # what was known here may be old
                    continue
                raise refusal
            if granted is not None:
                purse.slices.append(granted)
                return granted
        raise StaleBudget(plan.id)

    async def bring_home(self, plan: BudgetPlan, purse: Purse, slices: Sequence[Slice]) -> None:
        """Settle those of the slices that are idle, and give back what the others do not need.

        Raises ``StaleBudget``, ``StoreUnavailable``: then it is tried again later.
        """
        for attempt in range(TRIES):
            budget = await self._opening.period(plan, purse.period, fresh=attempt > 0)
            settled = self._settle_up(budget, purse, slices, returning=True)
            if await self._saved(budget, purse, settled):
                return
        raise StaleBudget(plan.id)

    async def note_exhaustion(self, plan: BudgetPlan, purse: Purse, need: int) -> None:
        """Record that a call was refused for good, if that is so and was not recorded before."""
        budget = await self._opening.period(plan, purse.period, fresh=True)
        budget.note_exhaustion(dollars(need))
        await self._saved(budget, purse, ())  # somebody else may be first with it

    def _grant(self, budget: ProviderBudget, purse: Purse, need: int) -> Slice:
        left = pico_dollars(budget.balance.left)
        wanted = max(need, min(purse.slice_size, left // LARGEST_SHARE))
        allowance_id = self._identifiers.new()
        expires_at = self._clock.now() + timedelta(seconds=self._policy.allowance)
        amount = budget.grant(
            allowance_id, holder=self._holder, wanted=dollars(wanted), minimum=dollars(need), expires_at=expires_at
        )
        return Slice(allowance_id, pico_dollars(amount), expires_at, self._clock.monotonic())

    def _settle_up(
        self, budget: ProviderBudget, purse: Purse, slices: Sequence[Slice], *, returning: bool
    ) -> list[Slice]:
        """Retire slices and tell the budget what became of them; those that it has done with then.

        ``returning``: money that a retired slice has got back from its calls goes home at once, and not with the last.
        """
        ended: list[Slice] = []
        for one in list(slices):
            free = one.rest if returning else one.free
            one.retired = True
            try:
                for hold_id, amount in one.overruns.items():
                    budget.record_overrun(one.allowance_id, dollars(amount), hold_id)
                if one.idle:
                    if not one.lost:
                        budget.settle(one.allowance_id, dollars(one.spent))
                    ended.append(one)
                elif not one.lost and (free > 0 or self.expires_soon(one)):
                    self._renew(budget, one)
            except (AllowanceAlreadyEnded, AllowanceNotFound):
                purse.lose(one)
            except BudgetPeriodIsClosed:  # too late for the books; the conversation has the cost, and people are told
                self._tell_overruns(purse, one)
                purse.lose(one)
        return ended

    def expires_soon(self, one: Slice) -> bool:
        """Whether half of the time has passed for which it was lent."""
        return one.expires_at - self._clock.now() < timedelta(seconds=self._policy.allowance / 2)

    def _renew(self, budget: ProviderBudget, one: Slice) -> None:
        one.amount = one.spent + one.held
        one.expires_at = self._clock.now() + timedelta(seconds=self._policy.allowance)
        budget.renew(one.allowance_id, amount=dollars(one.amount), expires_at=one.expires_at)

    async def _saved(self, budget: ProviderBudget, purse: Purse, settled: Sequence[Slice]) -> bool:
        """Store it; False when another process was first."""
        overruns = [(one, list(one.overruns)) for one in purse.slices if one.overruns]
        try:
            await self._budgets.save(budget, context=Context(self._identifiers.new(), actor=ACTOR))
        except StaleBudget:
            return False
        purse.left = pico_dollars(budget.balance.left)
        for one, recorded in overruns:
            self._tell_overruns(purse, one, recorded)
        for one in settled:
            purse.lose(one)
        return True

    def _tell_overruns(self, purse: Purse, one: Slice, recorded: Iterable[str] | None = None) -> None:
        for hold_id in list(one.overruns if recorded is None else recorded):
            amount = one.overruns.pop(hold_id, 0)
            self._observer.overrun_recorded(purse.budget_id, purse.period.key, dollars(amount))

    def _size_up(self, purse: Purse, need: int) -> None:
        """Slices grow while they are used up fast, and shrink while they last."""
        lasted = self._clock.monotonic() - purse.filled_at
        if lasted < SLICE_SECONDS / 2:
            purse.slice_size *= 2
        elif lasted > SLICE_SECONDS * 2:
            purse.slice_size //= 2
        purse.slice_size = max(purse.slice_size, FIRST_SLICE * need)
        purse.filled_at = self._clock.monotonic()
