"""The books of one period of a budget: what its events add up to."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

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


@dataclass(frozen=True, slots=True)
class Balance:
    """Where a period stands, in US dollars.

    ``left`` can be lent: the limit and what was carried over, less what is settled and lent. ``excess`` is by
    how much these are more than that; one of the two is always 0. Of what is settled, ``assumed`` are holds of
    calls whose end nobody knows. ``overrun`` is what providers billed beyond holds, settled or still lent.
    """

    limit: Decimal
    carried_over: Decimal
    settled: Decimal
    lent: Decimal
    left: Decimal
    excess: Decimal
    assumed: Decimal
    overrun: Decimal


@dataclass(frozen=True, slots=True)
class OutstandingAllowance:
    """What ``holder`` has borrowed and must settle before ``expires_at``; US dollars."""

    holder: str
    amount: Decimal
    expires_at: datetime


class Books:
    """Sums, in whole pico-dollars, and who owes what. Entries are taken as they come: rules are not kept here.

    Of allowances that ended only the ids are kept, so that a second ending is told from one that was never
    granted.
    """

    def __init__(self) -> None:
        self.limit = 0
        self.carried_over = 0
        self.settled = 0
        self.lent = 0
        self.assumed = 0
        self.overrun = 0
        self.carry_over_received = False
        self.refused: int | None = None
        """What the first call needed that was refused for good under the present terms."""
        self.reached: frozenset[int] = frozenset()
        """The thresholds told of under the present terms."""
        self.outstanding: dict[UUID, OutstandingAllowance] = {}
        self.ended: set[UUID] = set()
        self.overrun_holds: set[str] = set()

    def copy(self) -> Self:
        """Independent books with the same entries."""
        twin = type(self)()
        vars(twin).update(vars(self))
        twin.outstanding = self.outstanding.copy()
        twin.ended = self.ended.copy()
        twin.overrun_holds = self.overrun_holds.copy()
        return twin

    @property
    def available(self) -> int:
        """All that may be spent."""
        return self.limit + self.carried_over

    @property
    def left(self) -> int:
        """What can be lent."""
        return max(0, self.available - self.settled - self.lent)

    @property
    def exhausted(self) -> bool:
        """Whether nothing useful is left, even when all that is lent comes home unspent.

        A budget is seldom spent to the last digit: calls are refused before. So the last hundredth of one that had to
        refuse a call is nothing useful. A call that was refused because it is dear says little about the next one.
        """
        rest = self.available - self.settled
        return rest <= 0 or (self.refused is not None and rest * 100 < self.available)

    @property
    def balance(self) -> Balance:
        """The sums in US dollars."""
        return Balance(
            limit=dollars(self.limit),
            carried_over=dollars(self.carried_over),
            settled=dollars(self.settled),
            lent=dollars(self.lent),
            left=dollars(self.left),
            excess=dollars(max(0, self.settled + self.lent - self.available)),
            assumed=dollars(self.assumed),
            overrun=dollars(self.overrun),
        )

    def has_reached(self, percent: int) -> bool:
        """Whether so many percent of what may be spent are settled."""
        return self.settled * 100 >= self.available * percent

    def enter(self, event: ProviderBudgetEvent) -> None:
        """Take in what happened."""
        match event:
            case AllowanceGranted():
                self._lend(event)
            case AllowanceRenewed():
                self._renew(event)
            case AllowanceSettled():
                self._end(event.allowance_id, event.spent_usd)
            case AllowanceLapsed():
                self._end(event.allowance_id, event.spent_usd, event.assumed_usd)
            case OverrunRecorded():
                self._add_overrun(event)
            case ThresholdReached(percent=percent):
                self.reached |= {percent}
            case BudgetExhausted(needed_usd=needed):
                self.refused = pico_dollars(needed)
            case PeriodOpened() | LimitChanged() | BalanceCarriedOver():
                self._take_terms(event)
            case PeriodClosed():
                pass

    def _take_terms(self, event: PeriodOpened | LimitChanged | BalanceCarriedOver) -> None:
        if isinstance(event, PeriodOpened | LimitChanged):
            self.limit = pico_dollars(event.limit_usd)
        if isinstance(event, PeriodOpened):
            self.carried_over = pico_dollars(event.carried_over_usd)
            self.carry_over_received = self.carried_over > 0
        if isinstance(event, BalanceCarriedOver):
            self.carried_over += pico_dollars(event.amount_usd)
            self.carry_over_received = True
        # Whoever was told of a threshold under other terms wants to be told again when it is reached again.
        self.reached = frozenset(filter(self.has_reached, self.reached))
        self.refused = None

    def _lend(self, grant: AllowanceGranted) -> None:
        self.outstanding[grant.allowance_id] = OutstandingAllowance(grant.holder, grant.amount_usd, grant.expires_at)
        self.lent += pico_dollars(grant.amount_usd)

    def _renew(self, renewal: AllowanceRenewed) -> None:
        before = self.outstanding[renewal.allowance_id]
        kept = replace(before, amount=renewal.amount_usd, expires_at=renewal.expires_at)
        self.outstanding[renewal.allowance_id] = kept
        self.lent -= pico_dollars(before.amount) - pico_dollars(kept.amount)

    def _end(self, allowance_id: UUID, spent: Decimal, assumed: Decimal = ZERO) -> None:
        self.lent -= pico_dollars(self.outstanding.pop(allowance_id).amount)
        self.ended.add(allowance_id)
        self.settled += pico_dollars(spent) + pico_dollars(assumed)
        self.assumed += pico_dollars(assumed)

    def _add_overrun(self, event: OverrunRecorded) -> None:
        amount = pico_dollars(event.amount_usd)
        self.overrun += amount
        if event.hold_id is not None:
            self.overrun_holds.add(event.hold_id)
        allowance = self.outstanding.get(event.allowance_id)
        if allowance is None:
            self.settled += amount
        else:
            grown = dollars(pico_dollars(allowance.amount) + amount)
            self.outstanding[event.allowance_id] = replace(allowance, amount=grown)
            self.lent += amount
