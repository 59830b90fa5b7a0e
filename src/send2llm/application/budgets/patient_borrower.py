"""Borrows, and gives other processes a moment to bring home idle money before it takes no for an answer."""

from dataclasses import replace

from send2llm.application.budgets.call_bounds import CallBound
from send2llm.application.budgets.lender import Lender
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.budgets.ports import BudgetObserver, Recalls
from send2llm.application.budgets.purse import Purse, Refusal, Slice
from send2llm.application.ports import Clock
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.errors import BudgetExceeded
from send2llm.domain.pico_dollars import dollars, pico_dollars
from send2llm.domain.shortfall import Shortfall

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.8
"""Seconds between two looks for money that came home; each costs a question to the database."""

REFUSAL_LASTS = 1.0
"""Seconds for which a no is given again without asking: a storm of calls does not become one of questions."""


class PatientBorrower:
    """Holds for one call what its purse lacks. Calls that lack money of the same purse come one after the other."""

    def __init__(
        self, lender: Lender, recalls: Recalls, clock: Clock, policy: BudgetPolicy, observer: BudgetObserver
    ) -> None:
        self._lender = lender
        self._recalls = recalls
        self._clock = clock
        self._policy = policy
        self._observer = observer

    async def hold(self, plan: BudgetPlan, purse: Purse, hold_id: str, bound: CallBound) -> Slice:
        """A slice from which ``hold_id`` holds the ``most`` of its bound; else less, but at least the ``least``.

        Raises ``BudgetExceeded``, at the latest after the policy's ``recall`` seconds, those in which others had their
        turn included; ``BudgetPeriodIsClosed``, ``StaleBudget``, ``StoreUnavailable``.
        """
        deadline = self._clock.monotonic() + self._policy.recall
        async with purse.lock:
            found = purse.take(hold_id, bound.most)
            if found is not None:
                return found
            self._refuse_again(purse, bound)
            try:
                return await self._borrowed(plan, purse, hold_id, bound, deadline)
            except BudgetExceeded as error:
                until = self._clock.monotonic() + REFUSAL_LASTS
                purse.refusal = Refusal(pico_dollars(error.shortfall.left_usd), until, error.shortfall)
                self._observer.call_refused(error)
                await self._lender.note_exhaustion(plan, purse, bound.least)
                raise

    def _refuse_again(self, purse: Purse, bound: CallBound) -> None:
        refusal = purse.refusal
        if refusal is not None and refusal.left < bound.least and self._clock.monotonic() < refusal.until:
            error = _exceeded(refusal.lacking, bound)
            self._observer.call_refused(error)
            raise error

    async def _borrowed(self, plan: BudgetPlan, purse: Purse, hold_id: str, bound: CallBound, deadline: float) -> Slice:
        most, least, pause = bound.most, bound.least, FIRST_PAUSE
        while True:
            try:
                return _held(await self._lender.borrow(plan, purse, most), hold_id, most)
            except BudgetExceeded as error:
                lacking = error.shortfall
            left = pico_dollars(lacking.left_usd)
            may_come = left + pico_dollars(lacking.lent_usd)
            if least <= left and may_come < most:
                # All of it: shorter answers are what is left to be had.
                try:
                    return _held(await self._lender.borrow(plan, purse, left), hold_id, left)
                except BudgetExceeded:
                    continue  # another process was quicker
            late = self._clock.monotonic() >= deadline
            if may_come < least or (late and left < least):
                raise _exceeded(lacking, bound)
            if late:
                most = left
                continue
            await self._recalls.ask(plan.id, purse.period.key)
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            found = purse.take(hold_id, most)
            if found is not None:
                return found


def _held(lent: Slice, hold_id: str, amount: int) -> Slice:
    lent.take(hold_id, amount)
    return lent


def _exceeded(lacking: Shortfall, bound: CallBound) -> BudgetExceeded:
    fits_shorter = bound.shortest <= pico_dollars(lacking.left_usd)
    return BudgetExceeded(replace(lacking, needed_usd=dollars(bound.least)), fits_shorter=fits_shorter)
