"""True logs agree, whatever happened: crashes, late answers, renewals, overruns, several budgets."""

from decimal import Decimal

import pytest
from house import PriceList, user
from money_logs import CRASHED, TAKEN_AWAY, audited

from send2llm.application.money_audit import AuditMoney
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetRetired
from send2llm.domain.budget_scope import WHOLE_SERVICE
from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.conversation_events import CompletionFailed
from send2llm.domain.provider_budget_events import LimitChanged
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.event_store.streams import BudgetStreams
from send2llm.testing.budget_stories import granted, hold, opened, overrun, renewed, settled, usd
from send2llm.testing.conversation_stories import asked, attempt_failed, completion, interrupted, said
from send2llm.testing.money_log import PAYS, RIGHT, MoneyLog, costs, defined, paid
from send2llm.testing.providers import answer

ONE_CALL = MoneyLog(defined=defined(), opened=opened(), lent=granted(1, "4"), asked=paid(1), held=hold(1))


def test_nothing_agrees_with_nothing():
    audit = audited(MoneyLog())
    assert (audit.differences, audit.periods, audit.cost_usd, audit.closed.periods) == ((), (), 0, 0)


def test_what_was_spent_is_what_was_settled():
    audit = audited(RIGHT.without("closed"))
    (period,) = audit.periods
    assert not audit.differences
    assert (period.settled_usd, period.spent_usd, period.lent_usd, period.holds) == (usd("0.75"), usd("0.75"), 0, 2)
    assert (audit.calls, audit.cost_usd, audit.outside_usd) == (2, usd("0.75"), 0)


def test_closed_books_are_added_up():
    audit = audited(RIGHT)
    assert (audit.differences, audit.periods) == ((), ())
    closed = audit.closed
    assert (closed.periods, closed.holds, closed.settled_usd, closed.spent_usd) == (1, 2, usd("0.75"), usd("0.75"))


def test_what_still_runs_is_held():
    log = ONE_CALL.then(
        answered=costs(1, "0.25"), asked_2=paid(2, "2"), held_2=hold(2, "2"), renewed=renewed(1, "2.25")
    )
    audit = audited(log)
    (period,) = audit.periods
    assert not audit.differences
    assert (period.lent_usd, period.spent_usd, period.held_usd) == (usd("2.25"), usd("0.25"), 2)


def test_calls_under_no_budget_stand_beside():
    audit = audited(MoneyLog(asked=asked(1), answered=costs(1, "0.5"), asked_2=asked(2), open=said("Hi")))
    assert (audit.differences, audit.cost_usd, audit.outside_usd) == ((), usd("0.5"), usd("0.5"))


@pytest.mark.parametrize("version", [None, "reported by the provider"])
def test_a_model_without_a_price_may_be_allowed_beside_a_budget(version):
    audit = audited(RIGHT.then(asked_3=asked(3), answered_3=costs(3, "0.5", price_version=version)))
    assert (audit.differences, audit.outside_usd) == ((), usd("0.5"))


def test_a_retired_budget_covers_nothing():
    log = RIGHT.then(retired=BudgetRetired(), asked_3=asked(3), answered_3=costs(3, "0.5"))
    assert not audited(log).differences


def test_a_limit_below_what_is_spent_and_lent_takes_nothing_back():
    log = ONE_CALL.then(
        changed=BudgetChanged(limit_usd=usd("2"), carry_over=False, thresholds=()),
        lowered=LimitChanged(limit_usd=usd("2")),
        answered=costs(1, "1"),
        settled=settled(1, "1", returned="3"),
    )
    assert not audited(log).differences
    assert audited(log.then(lent_2=granted(2, "1.1"))).difference_count == 1


class TestEndings:
    def test_a_stream_that_broke_has_failed_and_costs_what_the_interruption_says(self):
        broke = interrupted(1, "provider_failed")
        log = ONE_CALL.then(
            failed=attempt_failed(1),
            broke=type(broke)(completion_id=completion(1), reason="provider_failed", attempts=1, cost_usd=usd("1")),
            settled=settled(1, "1", returned="3"),
        )
        assert not audited(log).differences

    def test_the_same_money_serves_the_next_attempt(self):
        log = ONE_CALL.then(
            failed=attempt_failed(1, next_attempt=Attempt(2, "openai", "gpt-4o-mini", usd("1"), PAYS)),
            held_2=hold(1, attempt=2),
            answered=costs(1, "0.25", attempts=2),
            settled=settled(1, "0.25", returned="3.75"),
        )
        assert not audited(log).differences

    def test_an_attempt_that_was_never_made_costs_nothing(self):
        gave_up = CompletionFailed(completion_id=completion(1), error="timed_out", detail="", attempts=1, duration=1.0)
        log = ONE_CALL.then(
            failed=attempt_failed(
                1, cost_usd=usd("1"), next_attempt=Attempt(2, "openai", "gpt-4o-mini", usd("1"), PAYS)
            ),
            held_2=hold(1, attempt=2),
            gave_up=gave_up,
            settled=settled(1, "1", returned="3"),
        )
        assert not audited(log).differences

    def test_an_overrun_is_listed(self):
        log = ONE_CALL.then(
            answered=costs(1, "1.5"),
            over=overrun(1, "0.5", hold(1).hold_id),
            settled=settled(1, "1.5", returned="3"),
        )
        audit = audited(log)
        assert not audit.differences
        (over,) = audit.overruns
        assert ((over.stream, over.position), over.hold_id) == (log.place("over"), hold(1).hold_id)
        assert (over.amount_usd, audit.overrun_usd) == (usd("0.5"), usd("0.5"))


class TestWrittenOff:
    def test_what_nobody_knew_counts_with_its_hold(self):
        audit = audited(CRASHED)
        assert (audit.differences, audit.known_later) == ((), ())
        assert audit.closed.settled_usd == usd("1.25")

    @pytest.mark.parametrize("closed", [True, False])
    def test_what_became_known_later_is_told_and_no_difference(self, closed):
        log = (CRASHED if closed else CRASHED.without("closed")).then(late=costs(2, "0.25"))
        audit = audited(log)
        assert not audit.differences
        (later,) = audit.known_later
        assert (later.stream, later.position) == log.place("late")
        assert (later.hold_id, later.assumed_usd, later.cost_usd) == (hold(2).hold_id, 1, usd("0.25"))
        assert audit.known_later_usd == usd("0.75")
        assert closed or audit.periods[0].later_usd == usd("0.75")

    def test_what_became_known_while_it_was_counted(self):
        log = CRASHED.without("gone", "closed").after("taken_away", late=costs(2, "0.25"))
        audit = audited(log)
        assert (audit.differences, audit.known_later_usd) == ((), usd("0.75"))

    def test_a_conversation_that_has_gone_on_takes_no_late_answer(self):
        log = CRASHED.then(said=said("Are you there?"), late=costs(2, "0.25"))
        (difference,) = audited(log).differences
        assert (difference.stream, difference.position) == log.place("late")

    def test_a_bill_beyond_the_hold_that_became_known_later_is_told_and_recorded_once(self):
        log = CRASHED.without("closed").then(late=costs(2, "1.5"))
        audit = audited(log)
        assert not audit.differences  # its process may yet tell the budget
        assert audit.known_later[0].cost_usd == usd("1.5")
        recorded = log.then(over=overrun(1, "0.5", hold(2).hold_id))
        audit = audited(recorded)
        assert (audit.differences, audit.periods[0].settled_usd) == ((), usd("1.75"))
        assert audited(recorded.then(again=overrun(1, "0.5", hold(2).hold_id))).difference_count == 1

    def test_a_holder_that_settles_while_somebody_closes(self):
        log = RIGHT.without("closed").after("settled", taken_away=TAKEN_AWAY)
        assert not audited(log).differences


async def test_the_books_of_a_running_house_agree(house):
    await house.budget("1")
    await house.budget("2", WHOLE_SERVICE)
    for text in ("one", "two", "three"):
        house.provider.script(answer("Hello!", usage=Usage(10, 20)))
        await house.complete(user(text), parameters=Parameters(max_output_tokens=20))
    await house.complete(user("four"), parameters=Parameters(max_output_tokens=20))
    told: list[tuple[int, int]] = []
    audit = await AuditMoney(house.conversations, BudgetStreams(), PriceList())(lambda *where: told.append(where))
    assert not audit.differences
    assert audit.calls == 4
    assert audit.cost_usd > Decimal("0.00099")
    assert told[-1] == (len(house.store.events), len(house.store.events))
    await house.holds.close()
    after = await AuditMoney(house.conversations, BudgetStreams(), PriceList())()
    assert not after.differences
    assert {period.settled_usd for period in after.periods} == {audit.cost_usd}
