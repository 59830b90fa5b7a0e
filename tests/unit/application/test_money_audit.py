"""The audit of money finds whatever does not agree, on logs that were written wrong on purpose."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from house import user

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.application.money_audit import AuditMoney, MoneyLedger
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.completion import Answer, Parameters, Usage
from send2llm.domain.conversation_events import CompletionInterrupted, CompletionReceived
from send2llm.domain.message import Message, TextPart
from send2llm.domain.provider_budget_events import PeriodClosed
from send2llm.infrastructure.event_store.streams import BudgetStreams, allowance_stream, budget_stream
from send2llm.testing.budget_stories import (
    BUDGET,
    NOVEMBER,
    allowance,
    granted,
    hold,
    lapsed,
    opened,
    overrun,
    renewed,
    settled,
    usd,
)
from send2llm.testing.providers import answer

METADATA = Metadata(UUID(int=1), datetime(2026, 11, 23, tzinfo=UTC), UUID(int=2), None, "ann", "acme")
CONVERSATION = "conversation-00000000-0000-7000-8000-00000000c0de"
PERIOD = budget_stream(BUDGET, NOVEMBER.key)


def received(number: int, cost: str | None, attempts: int = 1) -> CompletionReceived:
    said = Answer(Message("assistant", (TextPart("Hi"),)), "stop")
    return CompletionReceived(
        completion_id=hold(number).completion_id,
        provider="p",
        model="m",
        answers=(said,),
        attempts=attempts,
        duration=1.0,
        cost_usd=cost and usd(cost),
    )


def interrupted(number: int, cost: str, reason: str = "process_gone") -> CompletionInterrupted:
    return CompletionInterrupted(
        completion_id=hold(number).completion_id, reason=reason, attempts=1, cost_usd=usd(cost)
    )


def closed(settled_usd: str, assumed_usd: str = "0") -> PeriodClosed:
    zero = usd("0")
    return PeriodClosed(
        limit_usd=usd("10"),
        carried_over_usd=zero,
        settled_usd=usd(settled_usd),
        assumed_usd=usd(assumed_usd),
        overrun_usd=zero,
        carried_forward_usd=zero,
    )


def audited(*events: object):
    """The audit of a log; holds are of allowance 1 unless they come as pairs with another."""
    ledger = MoneyLedger()
    for position, given in enumerate(events, 1):
        number, event = given if isinstance(given, tuple) else (1, given)
        stream = PERIOD
        if isinstance(event, HoldTaken):
            stream = allowance_stream(allowance(number))
        elif isinstance(event, CompletionReceived | CompletionInterrupted):
            stream = CONVERSATION
        ledger.fold(RecordedEvent(position, stream, position, "topic", event, METADATA), BudgetStreams())
    return ledger.result()


def whats(audit) -> set[str]:
    return {one.what for one in audit.differences}


def test_nothing_agrees_with_nothing():
    audit = audited()
    assert (audit.differences, audit.periods, audit.cost_usd) == ((), (), 0)


def test_what_was_spent_is_what_was_settled():
    audit = audited(opened(), granted(1, "4"), hold(1, "1"), received(1, "0.25"), settled(1, "0.25", returned="3.75"))
    assert not audit.differences
    (period,) = audit.periods
    assert (period.settled_usd, period.spent_usd, period.lent_usd, period.holds) == (usd("0.25"), usd("0.25"), 0, 1)
    assert (audit.cost_usd, audit.outside_usd) == (usd("0.25"), 0)


def test_what_still_runs_is_held():
    audit = audited(opened(), granted(1, "4"), hold(1, "1"), hold(2, "2"), received(1, "0.25"), renewed(1, "2.25"))
    (period,) = audit.periods
    assert not audit.differences
    assert (period.lent_usd, period.spent_usd, period.held_usd) == (usd("2.25"), usd("0.25"), 2)


def test_calls_under_no_budget_stand_beside():
    audit = audited(received(7, "0.5"), received(8, None))
    assert (audit.differences, audit.cost_usd, audit.outside_usd) == ((), usd("0.5"), usd("0.5"))


@pytest.mark.parametrize("told", ["0.2", "0.3", "0"])
def test_a_settlement_that_is_not_what_calls_cost(told):
    audit = audited(opened(), granted(1, "4"), hold(1, "1"), received(1, "0.25"), settled(1, told))
    assert {(one.what, one.conversations_usd, one.budgets_usd) for one in audit.differences} == {
        ("spent", usd("0.25"), usd(told)),
        ("settled", usd("0.25"), usd(told)),
    }


def test_a_single_unit_is_a_difference():
    audit = audited(
        opened(), granted(1, "4"), hold(1, "1"), received(1, "0.250000000001"), settled(1, "0.25", returned="3.75")
    )
    assert whats(audit) == {"spent", "settled"}


class TestLapsed:
    def test_what_nobody_knew_counts_with_its_hold(self):
        lapse = replace(lapsed(1, "0", assumed="1", returned="3"), assumed_holds=(hold(1).hold_id,))
        assert not audited(opened(), granted(1, "4"), hold(1, "1"), lapse, interrupted(1, "1")).differences

    def test_what_became_known_later_is_no_difference(self):
        lapse = replace(lapsed(1, "0", assumed="1", returned="3"), assumed_holds=(hold(1).hold_id,))
        audit = audited(opened(), granted(1, "4"), hold(1, "1"), lapse, interrupted(1, "1"), received(1, "0.25"))
        assert not audit.differences
        assert audit.periods[0].later_usd == usd("0.75")

    def test_a_bill_beyond_the_hold_that_became_known_later(self):
        lapse = replace(lapsed(1, "0", assumed="1", returned="3"), assumed_holds=(hold(1).hold_id,))
        log = (opened(), granted(1, "4"), hold(1, "1"), lapse, received(1, "1.5"))
        assert whats(audited(*log)) == {"settled"}
        assert not audited(*log, overrun(1, "0.5", hold(1).hold_id)).differences

    def test_an_assumption_that_is_not_the_sum_of_its_holds(self):
        lapse = replace(lapsed(1, "0", assumed="0.5", returned="3"), assumed_holds=(hold(1).hold_id,))
        assert whats(audited(opened(), granted(1, "4"), hold(1, "1"), lapse)) == {"assumed", "settled"}


def test_a_hold_from_nowhere():
    audit = audited(opened(), (9, hold(1, "1")))
    (difference,) = audit.differences
    assert difference.place == hold(1).hold_id
    assert "nobody lent" in difference.what


def test_more_lent_than_there_is():
    audit = audited(opened("10"), granted(1, "7"), granted(2, "4"))
    assert whats(audit) == {"more is lent than there is"}


def test_totals_that_were_closed_with_other_sums():
    audit = audited(opened(), granted(1, "4"), hold(1, "1"), received(1, "1"), settled(1, "1"), closed("0.9", "0.1"))
    assert whats(audit) == {"settled in the end", "assumed in the end"}


async def test_the_books_of_a_running_house_agree(house):
    await house.budget("1")
    for text in ("one", "two", "three"):
        house.provider.script(answer("Hello!", usage=Usage(10, 20)))
        await house.complete(user(text), parameters=Parameters(max_output_tokens=20))
    await house.complete(user("four"), parameters=Parameters(max_output_tokens=20))
    told: list[tuple[int, int]] = []
    audit = await AuditMoney(house.conversations, BudgetStreams())(lambda *where: told.append(where))
    assert not audit.differences
    assert audit.calls == 4
    assert audit.cost_usd > Decimal("0.00099")
    assert told[-1] == (len(house.store.events), len(house.store.events))
    await house.holds.close()
    after = await AuditMoney(house.conversations, BudgetStreams())()
    assert (after.differences, after.periods[0].settled_usd) == ((), audit.cost_usd)
