"""What a process has borrowed: what is held at once, and what becomes of it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from send2llm.application.budgets.purse import CallHold, HeldFrom, Purse, Slice
from send2llm.testing.budget_stories import BUDGET, NOVEMBER, allowance, usd

EXPIRY = datetime(2026, 11, 23, 12, 15, tzinfo=UTC)
CONVERSATION = UUID("00000000-0000-7000-8000-00000000c0de")
COMPLETION = UUID("00000000-0000-7000-8000-00000000c001")


def purse(*amounts: int) -> Purse:
    filled = Purse(BUDGET, NOVEMBER, lambda: 7.0)
    filled.slices += [Slice(allowance(number), amount, EXPIRY, 0.0) for number, amount in enumerate(amounts, 1)]
    return filled


def held(amount: int, *purses: Purse, attempt: int = 1) -> CallHold:
    hold_id = f"{COMPLETION}/{attempt}"
    return CallHold(COMPLETION, attempt, amount, 100, [HeldFrom(one, one.take(hold_id, amount)) for one in purses])


def test_the_first_slice_that_has_it_gives_it():
    money = purse(3, 10)
    found = money.take("a/1", 4)
    assert (found.allowance_id, found.free, found.used_at) == (allowance(2), 6, 7.0)
    assert money.take("b/1", 7) is None
    assert money.free == 9


def test_a_retired_slice_gives_nothing():
    money = purse(10)
    money.slices[0].retired = True
    assert money.take("a/1", 1) is None
    assert (money.free, money.slices[0].rest) == (0, 10)


def test_what_a_call_did_not_cost_can_be_held_again():
    money = purse(10)
    held(8, money).end(3)
    assert (money.slices[0].spent, money.slices[0].held, money.slices[0].free) == (3, 0, 7)


def test_a_hold_ends_once():
    money = purse(10)
    hold = held(8, money)
    hold.end(3)
    hold.end(5)
    assert money.slices[0].spent == 3


def test_what_is_billed_beyond_the_hold_is_remembered_and_takes_nothing_from_other_holds():
    money = purse(10)
    other = money.take("other/1", 2)
    hold = held(8, money)
    hold.end(11)
    assert money.slices[0].overruns == {hold.hold_id: 3}
    assert (money.slices[0].spent, money.slices[0].free, other.holds) == (11, 0, {"other/1": 2})


def test_the_same_money_serves_the_next_attempt():
    money = purse(10)
    hold = held(8, money)
    following = hold.following()
    assert (following.attempt, following.amount, money.slices[0].holds) == (2, 8, {hold.hold_id: 8})  # not stored yet
    hold.passed_on(following)
    assert money.slices[0].holds == {following.hold_id: 8}
    hold.end(8)
    assert money.slices[0].spent == 0
    following.end(1)
    assert (money.slices[0].spent, money.slices[0].idle) == (1, True)


def test_each_budget_has_an_event_of_its_own():
    hold = held(8, purse(10), purse(3, 9))
    events = hold.events(CONVERSATION)
    assert [one.allowance_id for one in events] == [allowance(1), allowance(2)]
    assert {one.event.hold_id for one in events} == {hold.hold_id}
    assert {(one.event.budget_id, one.event.period_key) for one in events} == {(BUDGET, NOVEMBER.key)}
    assert {one.event.amount_usd for one in events} == {usd("0.000000000008")}


@pytest.mark.parametrize("overrun", [0, 5])
def test_a_slice_that_was_lost_is_kept_for_as_long_as_there_is_something_to_tell(overrun):
    money = purse(10)
    (lost,) = money.slices
    hold = held(8, money)
    money.lose(lost)
    assert money.slices == [lost]
    assert money.take("b/1", 1) is None
    hold.end(8 + overrun)
    money.lose(lost)
    assert money.slices == ([lost] if overrun else [])


def test_what_is_left_is_what_the_budget_has_and_what_is_free_here():
    rich, poor = purse(10), purse(9)
    rich.left, poor.left = 100, 5
    assert held(8, rich, poor).left_usd == usd("0.000000000006")
