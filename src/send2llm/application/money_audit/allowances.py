"""The budgets' side: what allowances were lent, held from, and said to have cost."""

from collections.abc import Iterable
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.application.money_audit.accounts import AllowanceAccount, AttemptAccount, Hold, PeriodAccount
from send2llm.application.money_audit.calls import Calls
from send2llm.application.money_audit.findings import Findings, PeriodId, Spot
from send2llm.application.money_audit.written_off import assume, tell_known_later
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.pico_dollars import pico_dollars
from send2llm.domain.provider_budget_events import (
    AllowanceGranted,
    AllowanceLapsed,
    AllowanceRenewed,
    AllowanceSettled,
    OverrunRecorded,
)


class Allowances:
    """Folds allowances; keeps those that are lent, with their holds."""

    def __init__(self, findings: Findings, calls: Calls) -> None:
        self._findings = findings
        self._calls = calls
        self._lent: dict[UUID, AllowanceAccount] = {}

    def of(self, period: PeriodAccount) -> Iterable[AllowanceAccount]:
        """Those that a period has lent."""
        return (allowance for allowance in self._lent.values() if allowance.period is period)

    # The stream of an allowance

    def hold(self, recorded: RecordedEvent, allowance_id: UUID, event: HoldTaken) -> None:
        """Money was set aside: for an attempt whose intent says so, from what is lent."""
        amount, paying = pico_dollars(event.amount_usd), PeriodId(event.budget_id, event.period_key)
        attempt = self._calls.attempt(event.completion_id, event.attempt, event.conversation_id)
        if attempt is None:
            self._findings.differ(recorded, "a hold for an attempt that no running call intends", 0, amount)
            attempt = _nobodys(recorded, event)
        else:
            self._check_intent(recorded, attempt, paying, amount)
        attempt.held.add(paying)
        allowance = self._lent.get(allowance_id)
        if allowance is None:
            what = "a hold from an allowance that is not lent: it was never granted, or has ended"
            self._findings.differ(recorded, what, 0, amount)
            return
        if allowance.period.id != paying:
            self._findings.differ(recorded, f"a hold of {paying} from an allowance of {allowance.period.id}")
        if allowance.closed is not None:
            self._findings.differ(recorded, "a hold from an allowance that was closed", 0, amount)
        if event.hold_id in allowance.holds:
            self._findings.differ(recorded, "a hold is taken twice", 0, amount)
            return
        part = allowance.holds[event.hold_id] = Hold(attempt, allowance, amount)
        attempt.parts.append(part)
        allowance.period.holds += 1
        allowance.used += part.takes
        lent = allowance.lent - allowance.overruns
        if allowance.used > lent:
            self._findings.differ(recorded, "calls hold more than was lent", lent, allowance.used)

    def closed(self, recorded: RecordedEvent, allowance_id: UUID) -> None:
        """Nothing is held any more; of one that its holder has settled meanwhile this says nothing new."""
        allowance = self._lent.get(allowance_id)
        if allowance is not None and allowance.closed is None:
            allowance.closed = recorded.position

    # The stream of a period

    def granted(self, recorded: RecordedEvent, period: PeriodAccount, event: AllowanceGranted) -> None:
        """A slice was lent."""
        amount = pico_dollars(event.amount_usd)
        if event.allowance_id in self._lent:
            self._findings.differ(recorded, "an allowance is granted twice", 0, amount)
            return
        self._lent[event.allowance_id] = AllowanceAccount(event.allowance_id, period, amount)
        period.lent += amount
        period.outstanding += 1
        if period.settled + period.lent > period.available:
            what = "more is lent than the limit leaves"
            self._findings.differ(recorded, what, max(0, period.available - period.settled), period.lent)

    def renewed(self, recorded: RecordedEvent, period: PeriodAccount, event: AllowanceRenewed) -> None:
        """A part came back; what calls hold has to stay."""
        amount, allowance = pico_dollars(event.amount_usd), self._found(recorded, period, event.allowance_id)
        if allowance is None:
            return
        if amount > allowance.lent:
            self._findings.differ(recorded, "an allowance is renewed with more than is in it", allowance.lent, amount)
        period.lent += amount - allowance.lent
        allowance.lent = amount
        needed = allowance.used + allowance.overruns
        if amount < needed:
            self._findings.differ(recorded, "an allowance keeps less than its calls hold", needed, amount)

    def settled(self, recorded: RecordedEvent, period: PeriodAccount, event: AllowanceSettled) -> None:
        """Its holder says what it spent: what its attempts cost."""
        told, returned = pico_dollars(event.spent_usd), pico_dollars(event.returned_usd)
        period.told_settled += told
        allowance = self._found(recorded, period, event.allowance_id)
        if allowance is None:
            return
        for hold_id, hold in allowance.holds.items():
            if hold.attempt.ended is None:
                self._findings.differ(recorded, f"an allowance is settled while {hold_id} runs", hold.amount, 0)
        spent = sum(hold.cost for hold in allowance.holds.values())
        self._findings.compare(recorded, "what an allowance spent", spent, told)
        period.settled += spent
        period.spent += spent
        self._finish(recorded, allowance, told, returned)

    def lapsed(self, recorded: RecordedEvent, period: PeriodAccount, event: AllowanceLapsed) -> None:
        """Somebody else has counted: what was known by its cost, the rest whole."""
        told_spent, told_assumed = pico_dollars(event.spent_usd), pico_dollars(event.assumed_usd)
        returned = pico_dollars(event.returned_usd)
        period.told_settled += told_spent + told_assumed
        allowance = self._found(recorded, period, event.allowance_id)
        if allowance is None:
            return
        if allowance.closed is None:
            self._findings.differ(recorded, "an allowance is taken away that was not closed before")
        assume(self._findings, recorded, allowance, event.assumed_holds)
        holds = allowance.holds.values()
        spent = sum(hold.cost for hold in holds if not hold.assumed)
        assumed = sum(hold.amount for hold in holds if hold.assumed)
        self._findings.compare(recorded, "what an allowance spent", spent, told_spent)
        self._findings.compare(recorded, "what is assumed of an allowance", assumed, told_assumed)
        period.settled += spent + assumed
        period.spent += spent + assumed
        period.assumed += assumed
        for hold in holds:
            tell_known_later(self._findings, recorded, hold)
        self._finish(recorded, allowance, told_spent + told_assumed, returned)

    def overran(self, recorded: RecordedEvent, period: PeriodAccount, event: OverrunRecorded) -> None:
        """A bill went beyond its hold."""
        amount, allowance = pico_dollars(event.amount_usd), self._lent.get(event.allowance_id)
        self._findings.overran(recorded, event.hold_id, amount)
        period.overrun += amount
        if allowance is None or allowance.period is not period:
            period.settled += amount
            period.told_settled += amount
            period.spent += amount
            expected = period.late_overruns.pop(event.hold_id or "", 0)
        else:
            allowance.lent += amount
            allowance.overruns += amount
            period.lent += amount
            if event.hold_id is None:  # of all its calls together
                return
            hold = allowance.holds.get(event.hold_id)
            expected = 0 if hold is None else max(0, hold.cost - hold.amount - hold.overrun)
            if hold is not None:
                hold.overrun += amount
        self._findings.compare(recorded, "what a bill went beyond its hold", expected, amount)

    # How it is done

    def _check_intent(self, recorded: RecordedEvent, attempt: AttemptAccount, paying: PeriodId, amount: int) -> None:
        if paying not in attempt.paid_by:
            self._findings.differ(recorded, "a hold of a budget that the intent does not name", 0, amount)
        elif attempt.promised is not None:
            self._findings.compare(recorded, "what the intent says is held", attempt.promised, amount)
        if attempt.ended is not None:
            self._findings.differ(recorded, "a hold for an attempt that has ended", 0, amount)

    def _finish(self, recorded: RecordedEvent, allowance: AllowanceAccount, spent: int, returned: int) -> None:
        """What was lent is spent or returned, and then it is lent no more."""
        rest = max(0, allowance.lent - spent)
        self._findings.compare(recorded, "what comes back of an allowance", rest, returned)
        beyond = sum(max(0, hold.cost - hold.amount) for hold in allowance.holds.values() if not hold.assumed)
        if beyond > allowance.overruns:
            what = "bills went beyond holds, which was not recorded"
            self._findings.differ(recorded, what, beyond, allowance.overruns)
        allowance.period.lent -= allowance.lent
        allowance.period.outstanding -= 1
        allowance.holds.clear()  # a call that may yet be answered knows its own, and needs no other
        del self._lent[allowance.id]

    def _found(self, recorded: RecordedEvent, period: PeriodAccount, allowance_id: UUID) -> AllowanceAccount | None:
        allowance = self._lent.get(allowance_id)
        if allowance is None:
            what = "about an allowance that is not lent: it was never granted, or has ended before"
            self._findings.differ(recorded, what)
        elif allowance.period is not period:
            self._findings.differ(recorded, f"about an allowance of {allowance.period.id}")
            return None
        return allowance


def _nobodys(recorded: RecordedEvent, event: HoldTaken) -> AttemptAccount:
    """An attempt that nobody intended, so that its hold is counted: as if it had cost nothing."""
    return AttemptAccount(
        hold_id=event.hold_id,
        begun=Spot(recorded.stream, recorded.position),
        begun_at=recorded.metadata.occurred_at,
        provider="",
        model="",
        promised=None,
        paid_by=frozenset(),
        ended=recorded.position,
        cost=0,
        known=True,
    )
