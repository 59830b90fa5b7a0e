"""The books of periods: terms, totals, and the limit."""

from collections.abc import Iterable
from decimal import Decimal

from send2llm.application.context import RecordedEvent
from send2llm.application.money_audit.accounts import AllowanceAccount, PeriodAccount
from send2llm.application.money_audit.allowances import Allowances
from send2llm.application.money_audit.carry_over import CarryOver
from send2llm.application.money_audit.findings import Findings, PeriodId
from send2llm.application.money_audit.plans import Plans
from send2llm.application.money_audit.result import ClosedPeriods, PeriodTotals
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


class Periods:
    """Folds periods; keeps those whose books are open, and sums of the others."""

    def __init__(self, findings: Findings, plans: Plans, allowances: Allowances) -> None:
        self._findings = findings
        self._plans = plans
        self._allowances = allowances
        self._carry_over = CarryOver(findings)
        self._open: dict[PeriodId, PeriodAccount] = {}
        self._closed = self._closed_holds = self._closed_settled = self._closed_spent = 0

    def fold(self, recorded: RecordedEvent, period_id: PeriodId, event: ProviderBudgetEvent) -> None:
        """Take in the next event of a period."""
        if isinstance(event, PeriodOpened):
            self._opened(recorded, period_id, event)
            return
        period = self._open.get(period_id)
        if period is None:
            self._findings.differ(recorded, "in books that are not open")
            return
        allowances = self._allowances
        match event:
            case AllowanceGranted():
                allowances.granted(recorded, period, event)
            case AllowanceRenewed():
                allowances.renewed(recorded, period, event)
            case AllowanceSettled():
                allowances.settled(recorded, period, event)
            case AllowanceLapsed():
                allowances.lapsed(recorded, period, event)
            case OverrunRecorded():
                allowances.overran(recorded, period, event)
            case LimitChanged():
                period.limit = pico_dollars(event.limit_usd)
                self._check_limit(recorded, period)
            case BalanceCarriedOver():
                self._carry_over.arrived(recorded, period, event)
            case ThresholdReached():
                self._compare(recorded, "settled at a threshold", period.settled, event.settled_usd)
            case BudgetExhausted():
                self._compare(recorded, "settled when it was exhausted", period.settled, event.settled_usd)
                self._compare(recorded, "lent when it was exhausted", period.lent, event.lent_usd)
            case PeriodClosed():
                self._close(recorded, period, event)

    def totals(self) -> tuple[PeriodTotals, ...]:
        """Each open period, for people."""
        return tuple(_totals(period, self._allowances.of(period)) for period in self._open.values())

    @property
    def closed(self) -> ClosedPeriods:
        """All closed ones together."""
        return ClosedPeriods(
            self._closed, self._closed_holds, dollars(self._closed_settled), dollars(self._closed_spent)
        )

    def _opened(self, recorded: RecordedEvent, period_id: PeriodId, event: PeriodOpened) -> None:
        if period_id in self._open:
            self._findings.differ(recorded, "a period is opened twice")
            return
        if period_id != (event.budget_id, event.period.key):
            self._findings.differ(recorded, "a period is opened in the stream of another")
        carried_over = pico_dollars(event.carried_over_usd)
        period = PeriodAccount(
            id=period_id,
            start=event.period.start,
            end=event.period.end,
            limit=pico_dollars(event.limit_usd),
            carried_over=carried_over,
            carry_over=event.carry_over,
            carry_received=carried_over > 0,
        )
        before_is_open = any(
            one.id.budget_id == period_id.budget_id and one.end is not None and one.end == period.start
            for one in self._open.values()
        )
        self._open[period_id] = period
        self._check_limit(recorded, period)
        self._carry_over.opened(recorded, period, before_is_open=before_is_open)

    def _check_limit(self, recorded: RecordedEvent, period: PeriodAccount) -> None:
        limit = self._plans.limit(period.id.budget_id, period.limit)
        if limit is None:
            self._findings.differ(recorded, "a budget has a period and was never set up")
        elif limit != period.limit:
            self._findings.differ(recorded, "a limit that the budget never had", limit, period.limit)

    def _close(self, recorded: RecordedEvent, period: PeriodAccount, event: PeriodClosed) -> None:
        if period.outstanding:
            what = f"books are closed and {period.outstanding} allowances are lent"
            self._findings.differ(recorded, what, period.lent, 0)
        for what, counted, told in (
            ("the limit in the end", period.limit, event.limit_usd),
            ("carried over in the end", period.carried_over, event.carried_over_usd),
            ("settled in the end", period.settled, event.settled_usd),
            ("assumed in the end", period.assumed, event.assumed_usd),
            ("overrun in the end", period.overrun, event.overrun_usd),
        ):
            self._compare(recorded, what, counted, told)
        self._carry_over.closed(recorded, period, event)
        del self._open[period.id]
        self._closed += 1
        self._closed_holds += period.holds
        self._closed_settled += period.told_settled
        self._closed_spent += period.spent

    def _compare(self, recorded: RecordedEvent, what: str, counted: int, told: Decimal) -> None:
        self._findings.compare(recorded, what, counted, pico_dollars(told))


def _totals(period: PeriodAccount, lent: Iterable[AllowanceAccount]) -> PeriodTotals:
    holds = [hold for allowance in lent for hold in allowance.holds.values()]
    return PeriodTotals(
        budget_id=period.id.budget_id,
        period_key=period.id.key,
        holds=period.holds,
        settled_usd=dollars(period.told_settled),
        lent_usd=dollars(period.lent),
        spent_usd=dollars(period.spent + sum(hold.cost for hold in holds)),
        held_usd=dollars(sum(hold.amount for hold in holds if hold.attempt.ended is None)),
        later_usd=dollars(period.later),
    )
