"""The fence: who holds money from an allowance, and how it is taken from a holder that may come back."""

import pytest

from send2llm.domain.allowance import Allowance
from send2llm.domain.allowance_events import AllowanceClosed
from send2llm.domain.errors import AllowanceIsClosed, HoldAlreadyTaken
from send2llm.testing.budget_stories import allowance, hold, usd

CLOSED = AllowanceClosed(reason="lapsed")


def folded(*events):
    return Allowance.fold(allowance(), events)


def test_nothing_happened_yet():
    fence = folded()
    assert (fence.version, fence.holds, fence.total_held, fence.closed) == (0, {}, 0, None)


def test_each_attempt_holds_once():
    fence = folded()
    fence.take_hold(hold(1, "1.5"))
    fence.take_hold(hold(1, "0.25", attempt=2))
    fence.take_hold(hold(2, "0"))
    with pytest.raises(HoldAlreadyTaken, match=hold(1).hold_id):
        fence.take_hold(hold(1, "2"))
    assert fence.collect() == (0, [hold(1, "1.5"), hold(1, "0.25", attempt=2), hold(2, "0")])
    assert fence.total_held == usd("1.75")
    assert list(fence.holds) == [
        f"{hold(1).completion_id}/1",
        f"{hold(1).completion_id}/2",
        f"{hold(2).completion_id}/1",
    ]


@pytest.mark.parametrize("amount", ["-1", "NaN", "0.0000000000001"])
def test_a_hold_is_an_amount(amount):
    fence = folded()
    with pytest.raises(ValueError, match="USD"):
        fence.take_hold(hold(1, amount))
    assert fence.version == 0


@pytest.mark.parametrize("reason", ["settled", "lapsed"])
def test_nothing_is_held_from_a_closed_one(reason):
    fence = folded(hold(1))
    fence.close(reason)
    assert fence.collect() == (1, [AllowanceClosed(reason=reason)])
    with pytest.raises(AllowanceIsClosed, match="ask the budget for a new one"):
        fence.take_hold(hold(2))


@pytest.mark.parametrize(("first", "again"), [("lapsed", "lapsed"), ("settled", "settled"), ("settled", "lapsed")])
def test_closing_again_changes_nothing(first, again):
    fence = folded(AllowanceClosed(reason=first))
    fence.close(again)
    assert fence.collect() == (1, [])
    assert fence.closed == first


def test_a_holder_cannot_settle_what_was_taken_from_it():
    fence = folded(CLOSED)
    with pytest.raises(AllowanceIsClosed):
        fence.close("settled")


def test_folds_to_the_same():
    live = folded()
    live.take_hold(hold(1))
    live.close("lapsed")
    again = folded(*live.collect()[1])
    assert (again.version, again.holds, again.total_held, again.closed) == (2, live.holds, usd("1"), "lapsed")


class TestTheRace:
    """Holder and taker both write behind the last event that they know; the stream takes one of them."""

    def test_the_taker_was_quicker(self):
        holder, taker = folded(hold(1)), folded(hold(1))
        taker.close("lapsed")
        holder.take_hold(hold(2))
        assert holder.collect()[0] == taker.collect()[0] == 1

    def test_what_the_holder_lost_it_finds_closed(self):
        holder = folded(hold(1))
        holder.follow([CLOSED])
        with pytest.raises(AllowanceIsClosed):
            holder.take_hold(hold(2))
