"""The fold of the whole log: each event goes to whoever keeps that part of the books."""

from typing import Protocol
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.application.money_audit.allowances import Allowances
from send2llm.application.money_audit.calls import Calls
from send2llm.application.money_audit.findings import Findings, PeriodId
from send2llm.application.money_audit.periods import Periods
from send2llm.application.money_audit.plans import Plans
from send2llm.application.money_audit.prices import PriceVersions
from send2llm.application.money_audit.result import MoneyAudit
from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.budget_plan_events import BudgetPlanEvent
from send2llm.domain.conversation_events import ConversationEvent
from send2llm.domain.pico_dollars import dollars
from send2llm.domain.provider_budget_events import ProviderBudgetEvent


class StreamNames(Protocol):
    """What streams are called."""

    def allowance_of(self, stream: str) -> UUID:
        """The allowance whose stream it is."""
        ...

    def period_of(self, stream: str) -> tuple[UUID, str]:
        """The budget and the key of the period whose stream it is; the key of a plan's is empty."""
        ...


class MoneyLedger:
    """Takes in the events of the log in their order."""

    def __init__(self, streams: StreamNames, prices: PriceVersions) -> None:
        self._streams = streams
        self._findings = Findings.none()
        self._plans = Plans()
        self._calls = Calls(self._findings, self._plans, prices)
        self._allowances = Allowances(self._findings, self._calls)
        self._periods = Periods(self._findings, self._plans, self._allowances)
        self._position = 0

    def fold(self, recorded: RecordedEvent) -> None:
        """Take in the next event of the log."""
        self._position = recorded.position
        try:
            self._fold(recorded)
        except ValueError as error:  # a negative amount, say, or a stream whose name belongs to nothing
            self._findings.differ(recorded, f"makes no sense: {error}")

    def _fold(self, recorded: RecordedEvent) -> None:
        match recorded.event:
            case HoldTaken() as hold:
                self._allowances.hold(recorded, self._streams.allowance_of(recorded.stream), hold)
            case AllowanceClosed():
                self._allowances.closed(recorded, self._streams.allowance_of(recorded.stream))
            case event if isinstance(event, ConversationEvent):
                self._calls.fold(recorded, event)
            case event if isinstance(event, ProviderBudgetEvent):
                self._periods.fold(recorded, PeriodId(*self._streams.period_of(recorded.stream)), event)
            case event if isinstance(event, BudgetPlanEvent):
                self._plans.fold(recorded, self._streams.period_of(recorded.stream)[0], event)
            case _:
                pass

    def result(self) -> MoneyAudit:
        """What was found; nothing is folded after it."""
        self._calls.finish()
        findings = self._findings
        return MoneyAudit(
            position=self._position,
            calls=self._calls.asked,
            cost_usd=dollars(self._calls.cost),
            outside_usd=dollars(self._calls.outside),
            periods=self._periods.totals(),
            closed=self._periods.closed,
            differences=tuple(findings.differences),
            difference_count=findings.difference_count,
            known_later=tuple(findings.known_later),
            known_later_usd=dollars(findings.later),
            overruns=tuple(findings.overruns),
            overrun_usd=dollars(findings.overrun),
        )
