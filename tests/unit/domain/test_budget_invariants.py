"""A budget among processes that spend, settle, are killed, are paused and come back: it is never exceeded.

The machine has what the service has: streams that take an append only behind the last event (``Store``), holders
that decide in memory and write without reading (``Holder``), somebody who takes allowances from holders that seem
to be gone, and a provider that keeps a count of its own, which is what is really to be paid.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from send2llm.domain.allowance import Allowance
from send2llm.domain.errors import (
    AllowanceAlreadyEnded,
    AllowanceIsClosed,
    AllowancesOutstanding,
    BudgetExceeded,
    BudgetPeriodIsClosed,
)
from send2llm.domain.pico_dollars import dollars, pico_dollars
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.domain.provider_budget_events import (
    AllowanceGranted,
    AllowanceLapsed,
    AllowanceRenewed,
    AllowanceSettled,
    LimitChanged,
    OverrunRecorded,
    PeriodClosed,
)
from send2llm.testing.budget_stories import BUDGET, EXPIRY, NOVEMBER, allowance, hold, plan, state

THRESHOLDS = (1, 50, 80, 100)
CAUSES_OF_EXCESS = (LimitChanged, OverrunRecorded)
PERIOD = "period"

AMOUNTS = st.integers(1, 1_000) | st.integers(1, 10**14)
SHARES = st.integers(0, 100)
"""How much of a hold a call costs, in percent."""


class Conflict(Exception):
    """Somebody else has appended there."""


class Store:
    """Streams of events; an append of several is stored whole or not at all."""

    def __init__(self):
        self.streams = {}

    def read(self, stream):
        return tuple(self.streams.get(stream, ()))

    def append(self, *appends):
        for stream, (version, _) in appends:
            if version != len(self.read(stream)):
                raise Conflict(stream)
        for stream, (_, events) in appends:
            self.streams.setdefault(stream, []).extend(events)


@dataclass
class Call:
    """A call at the provider: what it holds, and what it cost once that is recorded."""

    hold_id: str
    held: int
    cost: int | None = None


@dataclass
class Holder:
    """One allowance in the memory of the process that borrowed it."""

    number: int
    free: int
    fence: Allowance
    calls: dict[str, Call] = field(default_factory=dict)
    paused_with: ProviderBudget | None = None
    """What it knew of the budget when it was paused."""

    @property
    def spent(self):
        return sum(call.cost for call in self.calls.values())

    @property
    def idle(self):
        return all(call.cost is not None for call in self.calls.values())


class BudgetAmongProcesses(RuleBasedStateMachine):
    """Everything that can happen to one period; amounts are pico-dollars."""

    holders = Bundle("holders")
    running = Bundle("running")

    @initialize(limit=AMOUNTS, carried_over=st.just(0) | AMOUNTS)
    def open(self, limit, carried_over):
        self.store = Store()
        self.billed = 0
        """The provider's own count."""
        self.overruns = 0
        self.calls = {}
        """The intents and outcomes in the conversations, by allowance: what survives a process."""
        self.seen = 0
        self.highest = limit + carried_over
        terms = plan(str(dollars(limit)), carry_over=True, thresholds=THRESHOLDS)
        self.live = ProviderBudget.open(terms, NOVEMBER, dollars(carried_over))
        self.commit(self.live)

    # What goes on

    @rule(target=holders, wanted=AMOUNTS, minimum=AMOUNTS)
    def borrow(self, wanted, minimum):
        budget, number = self.load(), len(self.calls) + 1
        least, left = dollars(min(wanted, minimum)), budget.balance.left
        borrowed = allowance(number)
        try:
            amount = budget.grant(
                borrowed, holder=f"host-{number}", wanted=dollars(wanted), minimum=least, expires_at=EXPIRY
            )
        except BudgetExceeded:
            assert least > left
            budget.note_exhaustion(least)
            self.commit(budget)
            return multiple()
        except BudgetPeriodIsClosed:
            assert budget.closed
            return multiple()
        assert least <= amount <= max(least, left / 2)
        assert amount <= left
        self.calls[number] = {}
        self.commit(budget)
        return Holder(number, pico_dollars(amount), Allowance(borrowed))

    @rule(target=running, holder=holders, amount=AMOUNTS)
    def call(self, holder, amount):
        """Hold, intent, and off to the provider; a holder that was only paused finds out here."""
        amount = min(amount, holder.free)
        if not amount:
            return multiple()
        taken = hold(sum(map(len, self.calls.values())) + 1, str(dollars(amount)))
        try:
            holder.fence.take_hold(taken)
            self.store.append((holder.number, holder.fence.collect()))
        except (AllowanceIsClosed, Conflict):
            assert self.is_taken(holder)
            self.give_up(holder)
            return multiple()
        holder.free -= amount
        call = Call(taken.hold_id, amount)
        holder.calls[call.hold_id] = self.calls[holder.number][call.hold_id] = call
        return holder, call

    @rule(running=consumes(running), share=SHARES)
    def answer(self, running, share):
        """The provider is paid and the outcome is recorded, also by a holder that is too late to settle."""
        holder, call = running
        call.cost = call.held * share // 100
        self.billed += call.cost
        holder.free += call.held - call.cost

    @rule(running=consumes(running), more=AMOUNTS)
    def answer_at_more_than_the_most(self, running, more):
        holder, call = running
        call.cost = call.held + more
        budget = self.load()
        try:
            for _ in "ab":  # saying it again changes nothing
                budget.record_overrun(allowance(holder.number), dollars(more), call.hold_id)
        except BudgetPeriodIsClosed:
            self.billed += call.held  # what is beyond shows in the conversation alone
            return
        self.billed += call.cost
        self.overruns += more
        self.commit(budget)

    @rule(running=consumes(running), share=SHARES)
    def die_in_the_middle(self, running, share):
        """The provider is paid, and nobody is left to record it."""
        _, call = running
        self.billed += call.held * share // 100

    @rule(holder=holders)
    def look_and_pause(self, holder):
        """Go on, much later, with what is known now."""
        holder.paused_with = self.load()

    @rule(holder=holders)
    def bring_home_what_is_idle(self, holder):
        """Keep what calls have spent and what others still hold, and give the rest back."""
        budget = self.load()
        kept = sum(call.held if call.cost is None else call.cost for call in holder.calls.values())
        try:
            budget.renew(allowance(holder.number), amount=dollars(kept), expires_at=EXPIRY + timedelta(minutes=1))
        except AllowanceAlreadyEnded:
            self.give_up(holder)
        else:
            self.commit(budget)
            holder.free = 0

    @rule(holder=holders)
    def settle(self, holder):
        if not holder.idle:
            return
        budget, holder.paused_with = holder.paused_with or self.load(), None
        taken, ended = self.is_taken(holder), allowance(holder.number) not in self.live.outstanding
        try:
            holder.fence.close("settled")
            budget.settle(allowance(holder.number), dollars(holder.spent))
            self.commit(budget, (holder.number, holder.fence.collect()))
        except (AllowanceIsClosed, AllowanceAlreadyEnded):
            assert taken or ended
            self.give_up(holder)
        except Conflict:
            self.give_up(holder)  # taken away, or the budget has moved on: the next try knows
        else:
            assert not taken
            assert not ended
            holder.free = 0

    @rule(holder=holders, between=st.booleans())
    def take_away(self, holder, between):
        """The holder seems to be gone, which may be wrong; ``between``: the taker dies half-way."""
        fence = Allowance.fold(allowance(holder.number), self.store.read(holder.number))
        fence.close("lapsed")
        self.store.append((holder.number, fence.collect()))
        if between:
            return
        budget, ended = self.load(), allowance(holder.number) not in self.live.outstanding
        calls = [self.calls[holder.number][hold_id] for hold_id in fence.holds]
        try:
            budget.lapse(
                allowance(holder.number),
                spent=dollars(sum(call.cost for call in calls if call.cost is not None)),
                assumed=dollars(sum(call.held for call in calls if call.cost is None)),
            )
        except AllowanceAlreadyEnded:
            assert ended
        else:
            assert not ended
            self.commit(budget)

    @rule(limit=AMOUNTS)
    def change_limit(self, limit):
        budget = self.load()
        try:
            budget.change_limit(dollars(limit))
        except BudgetPeriodIsClosed:
            return
        self.highest = max(self.highest, limit + pico_dollars(budget.balance.carried_over))
        self.commit(budget)

    @precondition(lambda self: len(self.store.streams) > 3)
    @rule()
    def close(self):
        budget = self.load()
        try:
            budget.close()
        except AllowancesOutstanding:
            assert budget.outstanding
        else:
            self.commit(budget)

    # What always holds

    @invariant()
    def what_is_to_be_paid_is_in_the_books(self):
        balance = self.live.balance
        assert self.billed <= pico_dollars(balance.settled) + pico_dollars(balance.lent)

    @invariant()
    def no_more_is_gone_than_was_ever_allowed_but_for_overruns(self):
        balance = self.live.balance
        assert pico_dollars(balance.settled) + pico_dollars(balance.lent) <= self.highest + self.overruns
        assert pico_dollars(balance.overrun) == self.overruns

    @invariant()
    def only_stated_causes_bring_it_above_the_limit(self):
        events = self.store.read(PERIOD)
        budget = ProviderBudget.fold(BUDGET, NOVEMBER.key, events[: self.seen or 1])
        for event in events[budget.version :]:
            before = budget.balance
            budget.follow([event])
            after = budget.balance
            assert after.settled + after.lent + after.left - after.excess == after.limit + after.carried_over
            assert not (after.left and after.excess)
            assert after.excess <= before.excess or isinstance(event, CAUSES_OF_EXCESS), event
            assert not isinstance(event, AllowanceGranted) or not after.excess
            assert min(vars_of(after)) >= 0
        self.seen = len(events)

    @invariant()
    def each_allowance_ends_at_most_once(self):
        events = self.store.read(PERIOD)
        given = [event.allowance_id for event in events if isinstance(event, AllowanceGranted)]
        ended = [event.allowance_id for event in events if isinstance(event, AllowanceSettled | AllowanceLapsed)]
        assert len(set(given)) == len(given)
        assert len(set(ended)) == len(ended)
        assert set(self.live.outstanding) == set(given) - set(ended)

    @invariant()
    def what_was_lent_is_spent_assumed_or_returned(self):
        lent = {number: Decimal(0) for number in self.calls}
        for event in self.store.read(PERIOD):
            match event:
                case AllowanceGranted():
                    lent[event.allowance_id] = event.amount_usd
                case AllowanceRenewed():
                    assert event.amount_usd <= lent[event.allowance_id]
                    lent[event.allowance_id] = event.amount_usd
                case OverrunRecorded() if lent[event.allowance_id] is not None:
                    lent[event.allowance_id] += event.amount_usd
                case AllowanceSettled():
                    assert lent[event.allowance_id] == event.spent_usd + event.returned_usd
                    lent[event.allowance_id] = None
                case AllowanceLapsed():
                    assert lent[event.allowance_id] == event.spent_usd + event.assumed_usd + event.returned_usd
                    lent[event.allowance_id] = None
        assert self.live.balance.lent == sum(amount for amount in lent.values() if amount is not None)

    @invariant()
    def thresholds_are_those_that_are_settled(self):
        balance = self.live.balance
        share = balance.settled * 100 / (balance.limit + balance.carried_over)
        assert self.live.thresholds_reached == {percent for percent in THRESHOLDS if share >= percent}

    @invariant()
    def the_events_fold_to_the_live_state(self):
        assert state(self.load()) == state(self.live)

    @invariant()
    def nothing_is_left_in_closed_books(self):
        if self.live.closed:
            assert isinstance(self.store.read(PERIOD)[-1], PeriodClosed)
            assert not self.live.outstanding
            assert self.live.carried_forward <= self.live.balance.limit

    # How the machine does it

    def load(self):
        return ProviderBudget.fold(BUDGET, NOVEMBER.key, self.store.read(PERIOD))

    def commit(self, budget, *others):
        twin = budget.copy()
        self.store.append((PERIOD, budget.collect()), *others)
        self.live = twin

    def is_taken(self, holder):
        return Allowance.fold(allowance(holder.number), self.store.read(holder.number)).closed == "lapsed"

    def give_up(self, holder):
        holder.fence = Allowance.fold(allowance(holder.number), self.store.read(holder.number))
        holder.free = 0


def vars_of(balance):
    return [getattr(balance, name) for name in balance.__slots__]


TestBudgetAmongProcesses = BudgetAmongProcesses.TestCase
TestBudgetAmongProcesses.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
