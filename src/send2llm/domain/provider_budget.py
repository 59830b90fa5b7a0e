"""The provider budget: one period of a budget, from which running processes borrow.

What is settled and what is lent never exceed the limit and what was carried over, however many borrow at once,
since every grant is decided on the state that it is appended to. Two things can bring them above it, and both are
events of their own: the limit was lowered below them, or a provider billed more than it could have. Then
``Balance.excess`` tells by how much, and nothing is lent until that is covered.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from datetime import datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

from send2llm.domain.aggregate import Aggregate
from send2llm.domain.budget_books import Balance, Books, OutstandingAllowance
from send2llm.domain.budget_period import Period
from send2llm.domain.budget_plan import BudgetPlan, check_limit
from send2llm.domain.budget_scope import WHOLE_SERVICE
from send2llm.domain.errors import (
    AllowanceAlreadyEnded,
    AllowanceAlreadyGranted,
    AllowanceNotFound,
    AllowancesOutstanding,
    BudgetExceeded,
    BudgetIsRetired,
    BudgetPeriodIsClosed,
    BudgetPeriodNotFound,
    CarryOverAlreadyReceived,
)
from send2llm.domain.money import ZERO
from send2llm.domain.pico_dollars import dollars, pico_dollars
from send2llm.domain.provider_budget_events import (
    AllowanceGranted,
    AllowanceLapsed,
    AllowanceRenewed,
    AllowanceSettled,
    BalanceCarriedOver,
    BudgetExhausted,
    LimitChanged,
    OverrunRecorded,
    PeriodClosed,
    PeriodOpened,
    ProviderBudgetEvent,
    ThresholdReached,
)
from send2llm.domain.shortfall import Shortfall


class ProviderBudget(Aggregate[ProviderBudgetEvent]):
    """One period of a budget, folded from its events.

    Commands take and give US dollars in whole pico-dollars; ``ValueError`` for anything else.
    """

    def __init__(self, budget_id: UUID, period_key: str) -> None:
        super().__init__()
        self.budget_id = budget_id
        self.period = Period(period_key, None, None)
        self.scope = WHOLE_SERVICE
        self.closed = False
        self.carried_forward = ZERO
        """What goes to the next period, known once this one is closed."""
        self._carry_over = False
        self._thresholds: tuple[int, ...] = ()
        self._books = Books()

    @classmethod
    def open(cls, plan: BudgetPlan, period: Period, carried_over: Decimal = ZERO) -> Self:
        """Begin a period on the terms of ``plan``.

        ``carried_over`` is what the period before left over, if that is closed already; else it comes later, by
        ``receive_carry_over``. Raises ``BudgetIsRetired``.
        """
        if plan.retired:
            raise BudgetIsRetired(plan.id)
        if pico_dollars(carried_over) and not plan.carry_over:
            raise ValueError(f"The budget {plan.id} carries nothing over.")
        budget = cls(plan.id, period.key)
        budget._record(
            PeriodOpened(
                budget_id=plan.id,
                scope=plan.scope,
                period=period,
                limit_usd=plan.limit,
                carried_over_usd=carried_over,
                carry_over=plan.carry_over,
                thresholds=plan.thresholds,
            )
        )
        return budget

    @classmethod
    def fold(cls, budget_id: UUID, period_key: str, events: Iterable[ProviderBudgetEvent]) -> Self:
        """The state after ``events``; raises ``BudgetPeriodNotFound`` when there are none."""
        budget = cls(budget_id, period_key)
        budget.follow(events)
        if not budget.version:
            raise BudgetPeriodNotFound(budget_id, period_key)
        return budget

    def copy(self) -> Self:
        """An independent budget in the same state, without the events not yet collected."""
        twin = copy(self)
        twin._new = []  # noqa: SLF001 - a twin is of this very class
        twin._books = self._books.copy()  # noqa: SLF001 - as above
        return twin

    # Commands about the terms

    def change_limit(self, limit: Decimal) -> None:
        """Allow more or less from now on; raises ``InvalidRequest``, ``BudgetPeriodIsClosed``.

        A limit below what is settled and lent takes nothing back: it stops grants until that is covered.
        """
        check_limit(limit)
        self._must_be_open()
        if pico_dollars(limit) != self._books.limit:
            self._record(LimitChanged(limit_usd=limit))
            self._tell_thresholds()

    def receive_carry_over(self, period_key: str, amount: Decimal) -> None:
        """Add what the period before left over, if it was closed after this one was opened.

        Raises ``CarryOverAlreadyReceived``, ``BudgetPeriodIsClosed``.
        """
        self._must_be_open()
        if not self._carry_over:
            raise ValueError(f"The period {self.period.key} of the budget {self.budget_id} carries nothing over.")
        if self._books.carry_over_received:
            raise CarryOverAlreadyReceived(self.period.key)
        if pico_dollars(amount):
            self._record(BalanceCarriedOver(period_key=period_key, amount_usd=amount))

    # Commands about allowances

    def grant(
        self, allowance_id: UUID, *, holder: str, wanted: Decimal, minimum: Decimal, expires_at: datetime
    ) -> Decimal:
        """Lend ``wanted`` to a process, or less, and return how much.

        Nobody gets more than half of what is left, so slices shrink as the limit nears and others still find
        something; but never less than ``minimum``, which the call at hand needs. When that is not there, nothing
        is lent: ``BudgetExceeded`` (see ``note_exhaustion``). Also raises ``AllowanceAlreadyGranted`` and
        ``BudgetPeriodIsClosed``.
        """
        most, least = pico_dollars(wanted), pico_dollars(minimum)
        if not 0 < least <= most:
            raise ValueError(f"An allowance needs 0 < minimum <= wanted, not {minimum} and {wanted} USD.")
        self._must_be_open()
        if allowance_id in self.outstanding or allowance_id in self._books.ended:
            raise AllowanceAlreadyGranted(allowance_id)
        left = self._books.left
        if least > left:
            raise self._exceeded(minimum)
        amount = dollars(min(most, max(least, left // 2)))
        self._record(
            AllowanceGranted(allowance_id=allowance_id, holder=holder, amount_usd=amount, expires_at=expires_at)
        )
        return amount

    def note_exhaustion(self, needed: Decimal) -> None:
        """After a grant was refused: record it, if ``needed`` is not there even when all that is lent comes home.

        Once for each limit; changes nothing otherwise. So a refusal that will pass raises no alarm.
        """
        out_of_reach = pico_dollars(needed) > self._books.available - self._books.settled
        if out_of_reach and self._books.refused is None and not self.closed:
            balance = self.balance
            self._record(BudgetExhausted(needed_usd=needed, settled_usd=balance.settled, lent_usd=balance.lent))

    def renew(self, allowance_id: UUID, *, amount: Decimal, expires_at: datetime) -> None:
        """The holder keeps ``amount`` of an allowance for its running calls, and for longer; the rest comes back.

        So money that waits for nothing goes home although a long call is still running. Nothing can be added this
        way: ``ValueError`` for more than is in it. Raises as ``settle`` does.
        """
        self._must_be_outstanding(allowance_id)
        present = self.outstanding[allowance_id]
        if pico_dollars(amount) > pico_dollars(present.amount):
            raise ValueError(f"The allowance {allowance_id} has {present.amount} USD, less than {amount}.")
        if (amount, expires_at) != (present.amount, present.expires_at):
            self._record(AllowanceRenewed(allowance_id=allowance_id, amount_usd=amount, expires_at=expires_at))

    def settle(self, allowance_id: UUID, spent: Decimal) -> None:
        """The holder gives an allowance back, all its calls ended, and says what they cost.

        More than was lent is an overrun, and recorded as one if it was not (``record_overrun``). Raises
        ``AllowanceNotFound``, and ``AllowanceAlreadyEnded`` when it is too late: then all was counted without the
        holder, and nothing is to be recorded but an overrun of a hold that was assumed.
        """
        returned = self._rest(allowance_id, spent)
        self._record(AllowanceSettled(allowance_id=allowance_id, spent_usd=spent, returned_usd=returned))
        self._tell_thresholds()

    def lapse(self, allowance_id: UUID, *, spent: Decimal, assumed: Decimal, assumed_holds: Iterable[str] = ()) -> None:
        """Somebody settles an allowance whose holder seems to be gone, after closing it (``Allowance.close``).

        ``spent`` is what its finished calls cost, ``assumed`` the holds of the others, named by ``assumed_holds``.
        Overruns of finished calls are recorded first, by their holds, so that a holder that comes back does not count
        them again. With the allowance closed this is safe at any time: it need not wait for the expiry when the holder
        is known to be dead. Raises as ``settle`` does.
        """
        returned = self._rest(allowance_id, dollars(pico_dollars(spent) + pico_dollars(assumed)))
        self._record(
            AllowanceLapsed(
                allowance_id=allowance_id,
                spent_usd=spent,
                assumed_usd=assumed,
                returned_usd=returned,
                assumed_holds=tuple(assumed_holds),
            )
        )
        self._tell_thresholds()

    def record_overrun(self, allowance_id: UUID, amount: Decimal, hold_id: str) -> None:
        """A provider billed ``amount`` more than the hold; the same hold again changes nothing.

        It counts at once: as lent while the allowance is outstanding, and then it is a part of what is ``spent``
        in the end; as settled when the allowance has ended. Raises ``AllowanceNotFound``, ``BudgetPeriodIsClosed``.
        """
        self._must_be_open()
        if allowance_id not in self.outstanding and allowance_id not in self._books.ended:
            raise AllowanceNotFound(allowance_id, self.period.key)
        if pico_dollars(amount) and hold_id not in self._books.overrun_holds:
            self._record(OverrunRecorded(allowance_id=allowance_id, amount_usd=amount, hold_id=hold_id))
            self._tell_thresholds()

    def close(self) -> None:
        """Close the books once nothing is lent; closing again changes nothing. Raises ``AllowancesOutstanding``.

        What is left is carried forward if the terms say so, but not more than the limit: a budget that nobody
        used for a year does not pay for a runaway loop with a year's money.
        """
        if self.closed:
            return
        if self.outstanding:
            raise AllowancesOutstanding(self.period.key, len(self.outstanding))
        balance = self.balance
        self._record(
            PeriodClosed(
                limit_usd=balance.limit,
                carried_over_usd=balance.carried_over,
                settled_usd=balance.settled,
                assumed_usd=balance.assumed,
                overrun_usd=balance.overrun,
                carried_forward_usd=min(balance.left, balance.limit) if self._carry_over else ZERO,
            )
        )

    # Questions

    @property
    def balance(self) -> Balance:
        """Where the period stands."""
        return self._books.balance

    @property
    def awaits_carry_over(self) -> bool:
        """Whether the period before may still add what it left over."""
        return self._carry_over and not self.closed and not self._books.carry_over_received

    @property
    def outstanding(self) -> Mapping[UUID, OutstandingAllowance]:
        """The allowances that are not settled yet."""
        return self._books.outstanding

    @property
    def thresholds_reached(self) -> frozenset[int]:
        """The percentages that are settled under the limit as it is now."""
        return self._books.reached

    @property
    def exhausted(self) -> bool:
        """Whether nothing useful is left under the limit as it is now (``Books.exhausted``)."""
        return self._books.exhausted

    @property
    def refused(self) -> Decimal | None:
        """What the first call needed that was refused for good under the limit as it is now."""
        return None if self._books.refused is None else dollars(self._books.refused)

    def expired(self, moment: datetime) -> list[UUID]:
        """The outstanding allowances that should have been settled by ``moment``."""
        return [allowance_id for allowance_id, lent in self.outstanding.items() if lent.expires_at <= moment]

    # State

    def _apply(self, event: ProviderBudgetEvent) -> None:
        self._books.enter(event)
        match event:
            case PeriodOpened():
                self.period, self.scope = event.period, event.scope
                self._carry_over, self._thresholds = event.carry_over, event.thresholds
            case PeriodClosed():
                self.closed = True
                self.carried_forward = event.carried_forward_usd

    def _tell_thresholds(self) -> None:
        for percent in self._thresholds:
            if percent not in self._books.reached and self._books.has_reached(percent):
                self._record(ThresholdReached(percent=percent, settled_usd=dollars(self._books.settled)))

    def _rest(self, allowance_id: UUID, spent: Decimal) -> Decimal:
        """What comes back of an outstanding allowance; records an overrun when more was spent than is in it."""
        self._must_be_outstanding(allowance_id)
        rest = pico_dollars(self.outstanding[allowance_id].amount) - pico_dollars(spent)
        if rest < 0:
            self._record(OverrunRecorded(allowance_id=allowance_id, amount_usd=dollars(-rest)))
        return dollars(max(0, rest))

    def _must_be_outstanding(self, allowance_id: UUID) -> None:
        if allowance_id in self._books.ended:
            raise AllowanceAlreadyEnded(allowance_id)
        if allowance_id not in self.outstanding:
            raise AllowanceNotFound(allowance_id, self.period.key)

    def _must_be_open(self) -> None:
        if self.closed:
            raise BudgetPeriodIsClosed(self.budget_id, self.period.key)

    def _exceeded(self, needed: Decimal) -> BudgetExceeded:
        balance = self.balance
        return BudgetExceeded(
            Shortfall(
                budget_id=self.budget_id,
                scope=self.scope.key,
                period_key=self.period.key,
                period_end=self.period.end,
                needed_usd=needed,
                limit_usd=balance.limit,
                carried_over_usd=balance.carried_over,
                settled_usd=balance.settled,
                lent_usd=balance.lent,
                left_usd=balance.left,
            )
        )
