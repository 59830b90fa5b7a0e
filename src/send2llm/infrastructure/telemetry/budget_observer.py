"""Watches the budgets, and tells the log and the metrics."""

from decimal import Decimal
from uuid import UUID

import structlog

from send2llm.domain.errors import BudgetExceeded
from send2llm.infrastructure.telemetry.metrics import Metrics

LOGGER = "send2llm.budgets"
"""The component that these lines belong to, for levels and filters."""


class TelemetryBudgetObserver:
    """The ``BudgetObserver`` that logs and measures. An overrun is an error: a price, or a bill, is wrong."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger(LOGGER)

    def call_refused(self, refusal: BudgetExceeded) -> None:
        lacking = refusal.shortfall
        self._metrics.budget_refused(lacking.scope)
        self._log.info(
            "budget.refused",
            budget_id=lacking.budget_id,
            scope=lacking.scope,
            period=lacking.period_key,
            needed_usd=f"{lacking.needed_usd:f}",
            left_usd=f"{lacking.left_usd:f}",
            settled_usd=f"{lacking.settled_usd:f}",
            lent_usd=f"{lacking.lent_usd:f}",
        )

    def overrun_recorded(self, budget_id: UUID, period_key: str, amount_usd: Decimal) -> None:
        self._metrics.budget_overrun(float(amount_usd))
        self._log.error(
            "budget.overrun",
            budget_id=budget_id,
            period=period_key,
            amount_usd=f"{amount_usd:f}",
            hint="a provider billed more than the call could cost: compare its prices and its bill with ours",
        )

    def allowance_lapsed(self, budget_id: UUID, period_key: str, holder: str, assumed_usd: Decimal) -> None:
        self._metrics.allowance_lapsed()
        self._log.warning(
            "budget.allowance_lapsed",
            budget_id=budget_id,
            period=period_key,
            holder=holder,
            assumed_usd=f"{assumed_usd:f}",
        )
