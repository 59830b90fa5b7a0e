"""Examples of the stored events of budgets, for ``event_examples``."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.budget_period import TOTAL, Period, Recurrence
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined, BudgetRetired
from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetScope
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
    ThresholdReached,
)

BUDGET = UUID("0192e4a0-0000-7000-8000-0000000000b1")
ALLOWANCE = UUID("0192e4a0-0000-7000-8000-0000000000b2")
NOVEMBER = Period(
    "2026-11", datetime(2026, 10, 31, 23, 0, tzinfo=UTC), datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
)  # in Berlin

BUDGET_EXAMPLES = {
    "budget_plan.defined": [
        BudgetDefined(
            scope=BudgetScope("openai", model="gpt-4o"),
            limit_usd=Decimal("100.50"),
            recurrence=Recurrence("month", "Europe/Berlin"),
            carry_over=True,
            thresholds=(50, 80, 100),
        ),
        BudgetDefined(
            scope=WHOLE_SERVICE,
            limit_usd=Decimal("0.000000000001"),
            recurrence=Recurrence("total"),
            carry_over=False,
            thresholds=(),
        ),
    ],
    "budget_plan.changed": [BudgetChanged(limit_usd=Decimal(200), carry_over=False, thresholds=(90,))],
    "budget_plan.retired": [BudgetRetired(reason="the project is over"), BudgetRetired()],
    "budget.period_opened": [
        PeriodOpened(
            budget_id=BUDGET,
            scope=BudgetScope("openai", tenant="acme"),
            period=NOVEMBER,
            limit_usd=Decimal(100),
            carried_over_usd=Decimal("12.5"),
            carry_over=True,
            thresholds=(50, 80, 100),
        ),
        PeriodOpened(
            budget_id=BUDGET,
            scope=BudgetScope("openai", actor="key:reporting"),
            period=TOTAL,
            limit_usd=Decimal(100),
            carried_over_usd=Decimal(0),
            carry_over=False,
            thresholds=(),
        ),
    ],
    "budget.balance_carried_over": [BalanceCarriedOver(period_key="2026-10", amount_usd=Decimal("12.5"))],
    "budget.limit_changed": [LimitChanged(limit_usd=Decimal("99.99"))],
    "budget.allowance_granted": [
        AllowanceGranted(
            allowance_id=ALLOWANCE,
            holder="host-1-abc",
            amount_usd=Decimal("0.012345678901"),
            expires_at=datetime(2026, 11, 23, 12, 45, 15, 123456, tzinfo=UTC),
        )
    ],
    "budget.allowance_renewed": [
        AllowanceRenewed(
            allowance_id=ALLOWANCE,
            amount_usd=Decimal("0.002"),
            expires_at=datetime(2026, 11, 23, 12, 50, 15, 123456, tzinfo=UTC),
        )
    ],
    "budget.allowance_settled": [
        AllowanceSettled(allowance_id=ALLOWANCE, spent_usd=Decimal("0.01"), returned_usd=Decimal("0.002345678901"))
    ],
    "budget.allowance_lapsed": [
        AllowanceLapsed(
            allowance_id=ALLOWANCE,
            spent_usd=Decimal("0.01"),
            assumed_usd=Decimal("0.002"),
            returned_usd=Decimal("0.000345678901"),
            assumed_holds=("0192e4a0-0000-7000-8000-000000000001/2",),
        )
    ],
    "budget.overrun_recorded": [
        OverrunRecorded(
            allowance_id=ALLOWANCE,
            amount_usd=Decimal("0.5"),
            hold_id="0192e4a0-0000-7000-8000-000000000001/2",
        ),
        OverrunRecorded(allowance_id=ALLOWANCE, amount_usd=Decimal("1E-12")),
    ],
    "budget.threshold_reached": [ThresholdReached(percent=80, settled_usd=Decimal("80.01"))],
    "budget.exhausted": [
        BudgetExhausted(needed_usd=Decimal("0.02"), settled_usd=Decimal("99.99"), lent_usd=Decimal("0.01"))
    ],
    "budget.period_closed": [
        PeriodClosed(
            limit_usd=Decimal(100),
            carried_over_usd=Decimal("12.5"),
            settled_usd=Decimal("80.25"),
            assumed_usd=Decimal("0.002"),
            overrun_usd=Decimal("0.5"),
            carried_forward_usd=Decimal("32.25"),
        )
    ],
    "allowance.hold_taken": [
        HoldTaken(
            budget_id=BUDGET,
            period_key="2026-11",
            conversation_id=UUID("0192e4a0-0000-7000-8000-0000000000a1"),
            completion_id=UUID("0192e4a0-0000-7000-8000-000000000001"),
            attempt=2,
            amount_usd=Decimal("0.002"),
        )
    ],
    "allowance.closed": [AllowanceClosed(reason="lapsed")],
}
