"""The events of one period of a budget: what was lent, what came back, what was paid. Amounts are US dollars."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from send2llm.domain.budget_period import Period
from send2llm.domain.budget_scope import BudgetScope


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodOpened:
    """The period can be spent from, on the terms that the budget's plan had then.

    ``carried_over_usd`` comes on top of the limit; it is what the period before left over.
    """

    budget_id: UUID
    scope: BudgetScope
    period: Period
    limit_usd: Decimal
    carried_over_usd: Decimal
    carry_over: bool
    thresholds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceCarriedOver:
    """The period before was closed only now, because calls were still running; it left this over."""

    period_key: str
    amount_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChanged:
    """The limit is another one from here on."""

    limit_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceGranted:
    """An amount is lent to ``holder``, a running process, which settles it before ``expires_at``."""

    allowance_id: UUID
    holder: str
    amount_usd: Decimal
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceRenewed:
    """The holder keeps ``amount_usd`` of it until ``expires_at``, for calls that still run; the rest came back."""

    allowance_id: UUID
    amount_usd: Decimal
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceSettled:
    """The holder has said what it ``spent``; the rest came back."""

    allowance_id: UUID
    spent_usd: Decimal
    returned_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceLapsed:
    """Somebody else has settled it, because the holder seemed to be gone.

    ``spent_usd`` is what finished calls cost; ``assumed_usd`` are the holds of calls whose end nobody knows, and
    ``assumed_holds`` their names.
    """

    allowance_id: UUID
    spent_usd: Decimal
    assumed_usd: Decimal
    returned_usd: Decimal
    assumed_holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrunRecorded:
    """A provider billed ``amount_usd`` more than it could have; nothing is lent until that is covered.

    ``hold_id`` names the hold, where a single one is known to have been exceeded.
    """

    allowance_id: UUID
    amount_usd: Decimal
    hold_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdReached:
    """So many percent of what the period allows are settled."""

    percent: int
    settled_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExhausted:
    """For the first time under this limit, a call was refused for good.

    It needed ``needed_usd``, and would not get it even if all that is lent came home unspent.
    """

    needed_usd: Decimal
    settled_usd: Decimal
    lent_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodClosed:
    """The books are closed: the totals.

    Of ``settled_usd``, ``assumed_usd`` are holds of calls whose end nobody knows, and ``overrun_usd`` is what
    providers billed beyond holds. ``carried_forward_usd`` goes to the next period.
    """

    limit_usd: Decimal
    carried_over_usd: Decimal
    settled_usd: Decimal
    assumed_usd: Decimal
    overrun_usd: Decimal
    carried_forward_usd: Decimal


ProviderBudgetEvent = (
    PeriodOpened
    | BalanceCarriedOver
    | LimitChanged
    | AllowanceGranted
    | AllowanceRenewed
    | AllowanceSettled
    | AllowanceLapsed
    | OverrunRecorded
    | ThresholdReached
    | BudgetExhausted
    | PeriodClosed
)
