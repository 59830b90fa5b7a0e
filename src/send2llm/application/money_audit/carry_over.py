"""What a period left over, and whether just that reached the next one."""

from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.application.money_audit.accounts import PeriodAccount
from send2llm.application.money_audit.findings import Findings
from send2llm.domain.pico_dollars import pico_dollars
from send2llm.domain.provider_budget_events import BalanceCarriedOver, PeriodClosed

REMEMBERED = 24
"""Closed periods of a budget: the next one follows at once, or much later finds that a time of rest lies between."""


class _Closed(NamedTuple):
    end: datetime | None
    forward: int


class CarryOver:
    """Remembers the last closed periods of each budget."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._closed: dict[UUID, OrderedDict[str, _Closed]] = {}
        """There is an entry, however empty, for each budget that ever had a period."""

    def opened(self, recorded: RecordedEvent, period: PeriodAccount, *, before_is_open: bool) -> None:
        """A period begins with what the one before left over; with nothing when that is still to come."""
        ever_opened = period.id.budget_id in self._closed
        closed = self._closed.setdefault(period.id.budget_id, OrderedDict())
        told = period.carried_over
        if not told:
            return
        before = next((one for one in closed.values() if one.end is not None and one.end == period.start), None)
        if not period.carry_over or before_is_open or not ever_opened:
            expected = 0
        elif before is not None:
            expected = before.forward
        else:  # nothing was spent in the time before
            expected = period.limit
        self._findings.compare(recorded, "what a period begins with", expected, told)

    def arrived(self, recorded: RecordedEvent, period: PeriodAccount, event: BalanceCarriedOver) -> None:
        """The period before was closed only now."""
        amount = pico_dollars(event.amount_usd)
        before = self._closed.get(period.id.budget_id, OrderedDict()).get(event.period_key)
        if period.carry_received or not period.carry_over:
            expected = 0
        else:
            expected = before.forward if before is not None and before.end == period.start else 0
        self._findings.compare(recorded, "what the period before left over", expected, amount)
        period.carried_over += amount
        period.carry_received = True

    def closed(self, recorded: RecordedEvent, period: PeriodAccount, event: PeriodClosed) -> None:
        """A period leaves over what is left of it, at most a limit's worth."""
        left = max(0, period.available - period.settled)
        forward = min(left, period.limit) if period.carry_over else 0
        told = pico_dollars(event.carried_forward_usd)
        self._findings.compare(recorded, "what a period leaves over", forward, told)
        closed = self._closed.setdefault(period.id.budget_id, OrderedDict())
        closed[period.id.key] = _Closed(period.end, forward)
        if len(closed) > REMEMBERED:
            closed.popitem(last=False)
