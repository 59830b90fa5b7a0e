"""The conversations' side: what each attempt promised to hold, and what it came to."""

from dataclasses import dataclass, field
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.application.money_audit.accounts import AttemptAccount
from send2llm.application.money_audit.findings import Findings, PeriodId, Spot
from send2llm.application.money_audit.outcome import Ending, Outcome, amount_of, outcome_of
from send2llm.application.money_audit.plans import Plans
from send2llm.application.money_audit.prices import PriceVersions, check_price
from send2llm.application.money_audit.written_off import tell_known_later
from send2llm.domain.budget_scope import BudgetedCall
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
    ConversationEvent,
    FeedbackGiven,
)
from send2llm.domain.pico_dollars import pico_dollars
from send2llm.domain.routing import Attempt


@dataclass(slots=True)
class _Call:
    """A call that runs, or that was ``written_off`` because its process seemed gone, while its answer may yet come."""

    stream: str
    tenant: str
    actor: str
    attempts: dict[int, AttemptAccount] = field(default_factory=dict)
    written_off: bool = False


class Calls:
    """Folds conversations; keeps the calls that are open."""

    def __init__(self, findings: Findings, plans: Plans, prices: PriceVersions) -> None:
        self._findings = findings
        self._plans = plans
        self._prices = prices
        self._open: dict[UUID, _Call] = {}
        self._written_off: dict[str, UUID] = {}
        """The call of a conversation whose late answer would still be taken."""
        self.asked = 0
        self.cost = 0
        self.outside = 0
        """The part of the cost that no budget covers."""

    def attempt(self, completion_id: UUID, number: int, conversation_id: UUID) -> AttemptAccount | None:
        """The attempt of an open call of that conversation."""
        call = self._open.get(completion_id)
        if call is None or not call.stream.endswith(str(conversation_id)):
            return None
        return call.attempts.get(number)

    def fold(self, recorded: RecordedEvent, event: ConversationEvent) -> None:
        """Take in the next event of a conversation."""
        self._leave_behind(recorded, event)
        match event:
            case CompletionRequested():
                self._requested(recorded, event)
            case AttemptFailed():
                self._attempt_failed(recorded, event)
            case CompletionReceived() | CompletionInterrupted() | CompletionFailed():
                self._ended(recorded, event)
            case _:
                pass

    def finish(self) -> None:
        """The log has no more: calls that still run hold what they promised, or not."""
        for call in self._open.values():
            if not call.written_off:
                self._check_holds(call)

    def _leave_behind(self, recorded: RecordedEvent, event: ConversationEvent) -> None:
        """Once a conversation has gone on, it takes no late answer any more."""
        late = self._written_off.get(recorded.stream)
        if late is None or isinstance(event, AttemptFailed | FeedbackGiven):
            return
        del self._written_off[recorded.stream]
        if not isinstance(event, CompletionReceived) or event.completion_id != late:
            self._open.pop(late, None)

    def _requested(self, recorded: RecordedEvent, event: CompletionRequested) -> None:
        self.asked += 1
        if event.completion_id in self._open:
            self._findings.differ(recorded, "a call that runs is asked for again")
            return
        call = _Call(recorded.stream, recorded.metadata.tenant, recorded.metadata.actor)
        self._open[event.completion_id] = call
        first = Attempt(1, event.provider, event.model, event.hold_usd, event.paid_by)
        self._begin(recorded, event.completion_id, call, first)

    def _begin(self, recorded: RecordedEvent, completion_id: UUID, call: _Call, attempt: Attempt) -> None:
        promised = None if attempt.hold_usd is None else pico_dollars(attempt.hold_usd)
        if (promised is None) == bool(attempt.paid_by):
            self._findings.differ(recorded, "an attempt has an amount to hold and no budget, or a budget and no amount")
        call.attempts[attempt.number] = AttemptAccount(
            hold_id=f"{completion_id}/{attempt.number}",
            begun=Spot(recorded.stream, recorded.position),
            begun_at=recorded.metadata.occurred_at,
            provider=attempt.provider,
            model=attempt.model,
            promised=promised,
            paid_by=frozenset(PeriodId(paying.budget_id, paying.period_key) for paying in attempt.paid_by),
        )

    def _attempt_failed(self, recorded: RecordedEvent, event: AttemptFailed) -> None:
        call = self._open.get(event.completion_id)
        if call is None or call.written_off or call.stream != recorded.stream:
            self._findings.differ(recorded, "an attempt failed of a call that was not asked for, or has ended")
            return
        attempt = call.attempts.get(event.attempt)
        if attempt is None or attempt.ended is not None:
            self._findings.differ(recorded, "an attempt failed that was not begun, or has ended")
        else:
            self._end(recorded, attempt, amount_of(event.cost_usd) or 0, known=True)
        if event.next_attempt is not None:
            self._begin(recorded, event.completion_id, call, event.next_attempt)

    def _ended(self, recorded: RecordedEvent, event: Ending) -> None:
        if not isinstance(event, CompletionFailed):
            check_price(self._findings, self._prices, recorded, event)
        outcome = outcome_of(event)
        call = self._open.get(event.completion_id)
        if call is None or call.stream != recorded.stream:
            self._findings.differ(recorded, "the end of a call that was not asked for, or had ended")
            self.cost += outcome.cost or 0
            self.outside += outcome.cost or 0
            return
        self._charge(recorded, call, outcome)
        for attempt in call.attempts.values():
            if attempt.ended is None:
                # For an attempt that was about to be made money was set aside, but nobody was asked any more.
                if not isinstance(event, CompletionFailed):
                    self._findings.differ(attempt.begun, "an attempt has no end, and its call has")
                self._end(recorded, attempt, 0, known=True)
        if not call.written_off:
            self._check_holds(call)
        call.written_off = isinstance(event, CompletionInterrupted) and event.reason == "process_gone"
        if call.written_off:
            self._written_off[recorded.stream] = event.completion_id
        else:
            del self._open[event.completion_id]
        self._settle_for_good(recorded, call)

    def _charge(self, recorded: RecordedEvent, call: _Call, outcome: Outcome) -> None:
        """What the end of the call says of its last attempt."""
        if not outcome.attempt:
            return
        attempt = call.attempts.get(outcome.attempt)
        if attempt is None:
            if outcome.cost:
                self._findings.differ(recorded, "an attempt that was not begun has a cost", 0, outcome.cost)
            return
        if attempt.ended is not None and attempt.known:
            last = outcome.attempt == max(call.attempts)
            if not (outcome.again and last) or (attempt.cost and outcome.cost):
                what = "an attempt that has failed is charged again"
                self._findings.differ(recorded, what, attempt.cost, outcome.cost or 0)
        self._end(recorded, attempt, outcome.cost, known=outcome.known)
        if outcome.by_price and outcome.cost:
            self._check_covered(call, attempt)

    def _end(self, recorded: RecordedEvent, attempt: AttemptAccount, cost: int | None, *, known: bool) -> None:
        more = (cost or 0) - (attempt.cost or 0)
        self.cost += more
        self.outside += 0 if attempt.held else more
        before = [part.takes for part in attempt.parts]
        attempt.ended, attempt.cost, attempt.known = recorded.position, cost, known
        for part, took in zip(attempt.parts, before, strict=True):
            part.allowance.used += part.takes - took

    def _settle_for_good(self, recorded: RecordedEvent, call: _Call) -> None:
        """Nothing will change what the attempts cost whose end is known; what was written off earlier is told now."""
        for attempt in call.attempts.values():
            attempt.final = attempt.outcome_known
            for part in attempt.parts:
                tell_known_later(self._findings, recorded, part)

    def _check_holds(self, call: _Call) -> None:
        for attempt in call.attempts.values():
            for missing in sorted(attempt.paid_by - attempt.held):
                self._findings.differ(attempt.begun, f"nothing is held of the budget {missing}", attempt.promised, 0)

    def _check_covered(self, call: _Call, attempt: AttemptAccount) -> None:
        """A budget that covers a call which costs something must have held for it."""
        asked = BudgetedCall(attempt.provider, attempt.model, tenant=call.tenant, actor=call.actor)
        paying = {period.budget_id for period in attempt.paid_by}
        for budget_id in self._plans.covering(asked, attempt.begun_at):
            if budget_id not in paying:
                what = f"nothing is held of the budget {budget_id}, which covers the call"
                self._findings.differ(attempt.begun, what, attempt.cost, 0)
