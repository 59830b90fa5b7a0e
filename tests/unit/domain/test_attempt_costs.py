"""What attempts cost, by the events of their conversation."""

from uuid import UUID

from send2llm.domain.attempt_costs import AttemptCost, attempt_costs
from send2llm.domain.completion import Answer
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    MessageAdded,
)
from send2llm.domain.message import Message, TextPart
from send2llm.testing.budget_stories import usd

CALL = UUID("00000000-0000-7000-8000-00000000c001")


def failed(attempt, cost=None):
    return AttemptFailed(
        completion_id=CALL,
        attempt=attempt,
        provider="p",
        model="m",
        error="provider_timed_out",
        detail="",
        retryable=True,
        status=None,
        duration=1.0,
        cost_usd=cost and usd(cost),
    )


def received(attempts, cost):
    answer = Answer(Message("assistant", (TextPart("Hi"),)), "stop")
    return CompletionReceived(
        completion_id=CALL,
        provider="p",
        model="m",
        answers=(answer,),
        attempts=attempts,
        duration=1.0,
        cost_usd=cost and usd(cost),
    )


def interrupted(attempts, cost, reason="client_disconnected"):
    return CompletionInterrupted(completion_id=CALL, reason=reason, attempts=attempts, cost_usd=cost and usd(cost))


def test_what_is_still_awaited_is_missing():
    assert attempt_costs([MessageAdded(message=Message("user", (TextPart("Hi"),)))]) == {}


def test_each_attempt_has_its_own():
    costs = attempt_costs([failed(1), failed(2, "0.5"), received(3, "0.25")])
    assert costs == {
        f"{CALL}/1": AttemptCost(usd("0")),
        f"{CALL}/2": AttemptCost(usd("0.5")),
        f"{CALL}/3": AttemptCost(usd("0.25")),
    }


def test_an_unknown_price_stays_unknown():
    assert attempt_costs([received(1, None)]) == {f"{CALL}/1": AttemptCost(None)}


def test_what_broke_after_its_first_tokens_costs_what_the_interruption_says():
    assert attempt_costs([failed(1), interrupted(1, "0.5", "provider_failed")]) == {
        f"{CALL}/1": AttemptCost(usd("0.5"))
    }


def test_what_was_written_off_is_not_known():
    written_off = interrupted(1, "0.5", "process_gone")
    assert attempt_costs([written_off]) == {f"{CALL}/1": AttemptCost(usd("0.5"), known=False)}
    assert attempt_costs([written_off, received(1, "0.1")]) == {f"{CALL}/1": AttemptCost(usd("0.1"))}


def test_a_call_that_was_given_up_never_made_its_next_attempt():
    given_up = CompletionFailed(completion_id=CALL, error="provider_timed_out", detail="", attempts=1, duration=9.0)
    assert attempt_costs([failed(1, "0.5"), given_up]) == {
        f"{CALL}/1": AttemptCost(usd("0.5")),
        f"{CALL}/2": AttemptCost(usd("0")),
    }
