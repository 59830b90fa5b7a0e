"""However a day goes, the cost ledger, the conversations and the audit say the same, and nothing differs."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from days import OUTCOMES, Day
from house import PriceList
from hypothesis import example, given, settings, strategies as st

from send2llm.application.context import RecordedEvent
from send2llm.application.money_audit import MoneyAudit, MoneyLedger
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.attempt_costs import attempt_costs
from send2llm.domain.provider_budget_events import AllowanceLapsed
from send2llm.infrastructure.event_store.streams import BudgetStreams, budget_stream
from send2llm.infrastructure.read_models.cost_ledger_rows import CostLedgerRows

ZERO = Decimal(0)

NUMBERS = st.integers(0, 3)
MODELS = st.sampled_from(["any", "first/m", "second/m"])
SOME_OUTCOMES = st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, max_size=3)
LOSSES = st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=4)
THINGS = st.one_of(
    st.tuples(st.just("call"), NUMBERS, SOME_OUTCOMES, MODELS, st.booleans()),
    st.tuples(st.just("start"), NUMBERS, st.sampled_from(["answer", "dear", "broken"]), MODELS, st.booleans()),
    st.tuples(st.sampled_from(["answer", "leave", "tidy", "kill", "suspect", "recover", "settle", "close"]), NUMBERS),
    st.tuples(st.sampled_from(["lose", "lose_budgets"]), NUMBERS, LOSSES),
    st.tuples(st.just("wait"), st.sampled_from([1, 10, 700, 3700])),
)


class Sums:
    """The same log, added up in three ways."""

    def __init__(self, events: Sequence[RecordedEvent]) -> None:
        self.audit = _audited(events)
        self.ledger = CostLedgerRows()
        for recorded in events:
            self.ledger.apply(recorded)
        self.costs = attempt_costs(one.event for one in events)
        self.holds = [one.event for one in events if isinstance(one.event, HoldTaken)]
        self.written_off = {
            (one.stream, hold_id)
            for one in events
            if isinstance(one.event, AllowanceLapsed)
            for hold_id in one.event.assumed_holds
        }

    def agree(self) -> None:
        """Whatever goes on."""
        assert self.audit.differences == ()
        total = sum((cost.cost_usd or ZERO for cost in self.costs.values()), ZERO)
        assert self.audit.cost_usd == total
        assert sum((row["cost_usd"] or ZERO for row in self.ledger.attempts.values()), ZERO) == total
        spent, held = defaultdict(Decimal), defaultdict(Decimal)
        for (budget_id, key, _), (more_held, more_spent) in self.ledger.uses.items():
            held[budget_id, key] += more_held
            spent[budget_id, key] += more_spent
        paid, running, books = self._by_conversations()
        assert _without_zeros(spent) == _without_zeros(paid)
        assert _without_zeros(held) == running
        for period in self.audit.periods:
            assert period.spent_usd == books[period.budget_id, period.period_key]

    def all_is_home(self) -> None:
        """In the end."""
        assert not [row for row in self.ledger.attempts.values() if row["status"] == "awaited"]
        for period in self.audit.periods:
            assert (period.settled_usd, period.lent_usd, period.held_usd) == (period.spent_usd, 0, 0)

    def _by_conversations(self):
        """By period: what calls cost, what running ones hold, what the books say, which keep what they wrote off."""
        paid, running, books = defaultdict(Decimal), defaultdict(Decimal), defaultdict(Decimal)
        recorded = {(one.stream, one.hold_id) for one in self.audit.overruns}
        for hold in self.holds:
            period, cost = (hold.budget_id, hold.period_key), self.costs.get(hold.hold_id)
            stream = budget_stream(*period)
            charged = ZERO if cost is None else cost.cost_usd or ZERO
            paid[period] += charged
            if cost is None:
                running[period] += hold.amount_usd
            overrun = charged > hold.amount_usd and (stream, hold.hold_id) in recorded
            whole = (stream, hold.hold_id) in self.written_off and not overrun
            books[period] += hold.amount_usd if whole else charged
        return paid, dict(running), books


def _without_zeros(amounts):
    return {key: amount for key, amount in amounts.items() if amount}


def _audited(events: Sequence[RecordedEvent]) -> MoneyAudit:
    ledger = MoneyLedger(BudgetStreams(), PriceList())
    for recorded in events:
        ledger.fold(recorded)
    return ledger.result()


@settings(max_examples=40, deadline=None)
@given(st.lists(THINGS, max_size=20))
@example([("start", 0, "answer", "any", False), ("kill", 0), ("settle", 1)])  # whom nobody can ask any more
def test_the_ledger_the_conversations_and_the_audit_agree(things):
    async def live() -> None:
        day = Day()
        await day.begin()
        for name, *more in things:
            await getattr(day, name)(*more)
            Sums(day.store.events).agree()
        await day.end()
        sums = Sums(day.store.events)
        sums.agree()
        sums.all_is_home()

    asyncio.run(live())
