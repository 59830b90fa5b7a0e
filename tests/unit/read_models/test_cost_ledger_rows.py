"""The cost ledger's fold: the same rows however the events are cut, and no cent counted twice."""

import itertools
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.domain.completion import Answer, Parameters, Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
)
from send2llm.domain.message import Message, TextPart
from send2llm.domain.routing import Attempt, Candidate, Decision, PaidBy
from send2llm.infrastructure.read_models.cost_ledger_rows import CostLedgerRows

STREAM = "conversation-00000000-0000-7000-8000-00000000c0de"
BUDGET = UUID("00000000-0000-7000-8000-00000000b0d6")
PAYS = (PaidBy(BUDGET, "2026-11"),)
CALL = UUID("00000000-0000-7000-8000-00000000c001")
HOLD, COST = Decimal("0.5"), Decimal("0.125")


def requested(hold: Decimal | None = HOLD) -> CompletionRequested:
    return CompletionRequested(
        completion_id=CALL,
        requested_model="p/m",
        parameters=Parameters(),
        decision=Decision("named", (Candidate("p", "m", "named by the caller"),)),
        provider="p",
        model="m",
        process="process-1",
        hold_usd=hold,
        paid_by=PAYS if hold else (),
    )


def failed(attempt: int, cost: Decimal | None = None, *, again: bool = True) -> AttemptFailed:
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
        cost_usd=cost,
        next_attempt=Attempt(attempt + 1, "q", "n", HOLD, PAYS) if again else None,
    )


def received(attempts: int) -> CompletionReceived:
    return CompletionReceived(
        completion_id=CALL,
        provider="p",
        model="m",
        answers=(Answer(Message("assistant", (TextPart("Hi"),)), "stop"),),
        attempts=attempts,
        duration=1.0,
        reported_usage=Usage(10, 20),
        cost_usd=COST,
        price_version="1",
    )


def interrupted(attempts: int, cost: Decimal | None) -> CompletionInterrupted:
    return CompletionInterrupted(completion_id=CALL, reason="process_gone", attempts=attempts, cost_usd=cost)


GIVEN_UP = CompletionFailed(completion_id=CALL, error="provider_timed_out", detail="", attempts=1, duration=9.0)

STORIES = {
    "answered": ([requested(), received(1)], COST),
    "without a budget": ([requested(None), received(1)], Decimal(0)),
    "at the second attempt": ([requested(), failed(1), received(2)], COST),
    "after one that cost": ([requested(), failed(1, HOLD), received(2)], HOLD + COST),
    "given up": ([requested(), failed(1, HOLD), GIVEN_UP], HOLD),
    "given up for good": ([requested(), failed(1, again=False)], Decimal(0)),
    "interrupted": ([requested(), interrupted(1, HOLD)], HOLD),
    "written off and answered after all": ([requested(), interrupted(1, HOLD), received(1)], COST),
}


def recorded(position: int, event: object) -> RecordedEvent:
    at = datetime(2026, 11, 23, 12, position, tzinfo=UTC)
    metadata = Metadata(UUID(int=position), at, UUID(int=1), None, "ann", "acme")
    return RecordedEvent(position, STREAM, position, "topic", event, metadata)


def folded(events, cuts=()):
    """The attempts, and the uses of the budget, after all events, cut into batches."""
    attempts, uses = {}, defaultdict(lambda: [Decimal(0), Decimal(0)])
    log = [recorded(position, event) for position, event in enumerate(events, 1)]
    edges = [0, *sorted(cuts), len(log)]
    for begin, end in itertools.pairwise(edges):
        rows = CostLedgerRows(dict(attempts))
        for one in log[begin:end]:
            rows.apply(one)
        attempts |= rows.attempts
        for key, (held, spent) in rows.uses.items():
            uses[key][0] += held
            uses[key][1] += spent
    return attempts, dict(uses)


@pytest.mark.parametrize("story", STORIES)
def test_in_the_end_nothing_is_held_and_what_it_cost_is_spent(story):
    events, cost = STORIES[story]
    attempts, uses = folded(events)
    assert sum(held for held, _ in uses.values()) == 0
    assert sum(spent for _, spent in uses.values()) == cost
    assert all(row["ended_at"] is not None for row in attempts.values())
    paid = sum((row["cost_usd"] or 0) for row in attempts.values() if row["paid_by"])
    assert paid == cost


@pytest.mark.parametrize("ending", [received(1), interrupted(1, HOLD), GIVEN_UP], ids=["received", "gone", "given up"])
def test_no_attempt_is_awaited_once_its_call_has_ended(ending):
    attempts, uses = folded([requested(), failed(1), ending])
    assert attempts[CALL, 2]["status"] != "awaited"
    assert attempts[CALL, 2]["cost_usd"] == 0
    assert sum(held for held, _ in uses.values()) == 0


def test_a_running_call_is_held():
    _, uses = folded([requested(), failed(1)])
    assert sum(held for held, _ in uses.values()) == HOLD


def test_each_attempt_has_its_provider_and_its_usage():
    attempts, _ = folded([requested(), failed(1, HOLD), received(2)])
    first, second = attempts[CALL, 1], attempts[CALL, 2]
    assert (first["provider"], first["status"], first["cost_usd"]) == ("p", "failed", HOLD)
    assert (second["provider"], second["model"], second["status"]) == ("q", "n", "received")
    assert (second["input_tokens"], second["output_tokens"], second["usage_estimated"]) == (10, 20, False)
    assert (second["tenant"], second["actor"]) == ("acme", "ann")


@given(st.sampled_from(sorted(STORIES)), st.sets(st.integers(1, 4)))
def test_the_same_rows_however_the_events_are_cut(story, cuts):
    events, _ = STORIES[story]
    assert folded(events, [cut for cut in cuts if cut < len(events)]) == folded(events)
