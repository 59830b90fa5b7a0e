"""The fold of the usage: the same sums however the events are cut, and nothing counted twice."""

import itertools
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.domain.completion import Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionRefused,
)
from send2llm.domain.routing import Attempt, Candidate, Decision
from send2llm.infrastructure.read_models.duration_buckets import BOUNDS, bucket_of, quantile
from send2llm.infrastructure.read_models.usage_rows import UsageRows
from send2llm.testing.event_writer import received, requested

CALL = UUID("00000000-0000-7000-8000-00000000c001")
HOLD, COST = Decimal("0.5"), Decimal("0.125")
ASKED = requested(CALL, provider="p", model="m")
ANSWERED = received(CALL, usage=Usage(10, 20, 3, 4, 5, 2), cost_usd=COST)


def failed(cost: Decimal | None = None, *, again: bool = True) -> AttemptFailed:
    return AttemptFailed(
        completion_id=CALL,
        attempt=1,
        provider="p",
        model="m",
        error="provider_timed_out",
        detail="",
        retryable=True,
        status=None,
        duration=1.0,
        cost_usd=cost,
        assumed="all that was held" if cost else "",
        next_attempt=Attempt(2, "q", "n") if again else None,
    )


def interrupted(reason: str, cost: Decimal | None = None, usage: Usage | None = None) -> CompletionInterrupted:
    return CompletionInterrupted(
        completion_id=CALL, reason=reason, attempts=1, cost_usd=cost, assumed="assumed", estimated_usage=usage
    )


GIVEN_UP = CompletionFailed(completion_id=CALL, error="provider_timed_out", detail="", attempts=1, duration=9.0)
REFUSED = CompletionRefused(
    completion_id=CALL,
    requested_model="p/m",
    decision=Decision("named", (Candidate("p", "m", "named by the caller"),)),
    error="budget_exceeded",
    detail="",
)

STORIES = {
    "answered": ([ASKED, ANSWERED], {"calls": 1, "attempts": 1, "answered": 1}, COST),
    "at the second attempt": ([ASKED, failed(), ANSWERED], {"calls": 1, "attempts": 2, "answered": 1}, COST),
    "after one that cost": ([ASKED, failed(HOLD), ANSWERED], {"calls": 1, "attempts": 2, "answered": 1}, HOLD + COST),
    "given up": ([ASKED, failed(HOLD, again=False), GIVEN_UP], {"calls": 1, "attempts": 1, "failed": 1}, HOLD),
    "left": (
        [ASKED, interrupted("client_disconnected", None, Usage(1, 2))],
        {"calls": 1, "attempts": 1, "interrupted": 1, "unpriced": 1, "estimated": 1},
        0,
    ),
    "written off": ([ASKED, interrupted("process_gone", HOLD)], {"calls": 1, "attempts": 1, "interrupted": 1}, HOLD),
    "written off and answered after all": (
        [ASKED, interrupted("process_gone", HOLD), ANSWERED],
        {"calls": 1, "attempts": 1, "answered": 1},
        COST,
    ),
    "refused": ([REFUSED], {"refused": 1}, 0),
    "never begun": ([ANSWERED], {}, 0),
    "still running": ([ASKED, failed()], {"calls": 1, "attempts": 2}, 0),
}
ENDS = ("calls", "attempts", "answered", "failed", "interrupted", "refused", "unpriced", "estimated")


def folded(events, cuts=()):
    """The calls, and all sums, after all events, cut into batches."""
    calls, sums, troubles, durations = {}, {}, Counter(), Counter()
    log = [recorded(position, event) for position, event in enumerate(events, 1)]
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(log)]):
        rows = UsageRows(dict(calls))
        for one in log[begin:end]:
            rows.apply(one)
        calls = {key: row for key, row in rows.calls.items() if row is not None}
        for key, row in rows.quarters.items():
            known = sums.setdefault(key, dict.fromkeys(row, 0))
            for name, value in row.items():
                known[name] = max(known[name], value) if name.startswith("longest") else known[name] + value
        for kept, new in ((troubles, rows.troubles), (durations, rows.durations)):
            for key, times in new.items():
                kept[key] += times
    return calls, sums, dict(troubles), dict(durations)


def recorded(position: int, event: object) -> RecordedEvent:
    at = datetime(2026, 11, 23, 12, 10 * position, tzinfo=UTC)
    metadata = Metadata(UUID(int=position), at, UUID(int=1), None, "ann", "acme")
    return RecordedEvent(position, "conversation-1", position, "topic", event, metadata)


@pytest.mark.parametrize("story", STORIES)
def test_what_counts_in_the_end(story):
    events, counts, cost = STORIES[story]
    calls, sums, troubles, _ = folded(events)
    added = {name: sum(row[name] for row in sums.values()) for name in ENDS}
    assert added == {**dict.fromkeys(ENDS, 0), **counts}
    assert sum(row["cost_usd"] for row in sums.values()) == cost
    assert bool(calls) == (story in {"still running", "written off"})
    assert all(times >= 0 for times in troubles.values())


@given(st.sampled_from(sorted(STORIES)), st.sets(st.integers(1, 4)))
def test_the_same_however_the_events_are_cut(story, cuts):
    events = STORIES[story][0]
    assert folded(events, [cut for cut in cuts if cut < len(events)]) == folded(events)


def test_each_attempt_counts_where_it_was_made_and_when():
    _, sums, troubles, durations = folded([ASKED, failed(HOLD), ANSWERED])
    first, second = sorted(sums)
    assert first == (datetime(2026, 11, 23, 12, 0, tzinfo=UTC), "p", "m", "acme", "ann")
    assert second == (datetime(2026, 11, 23, 12, 15, tzinfo=UTC), "q", "n", "acme", "ann")
    assert (sums[first]["calls"], sums[first]["answered"], sums[first]["assumed_usd"]) == (1, 0, HOLD)
    answered = sums[second]
    assert (answered["calls"], answered["answered"], answered["assumed_usd"]) == (0, 1, 0)
    assert (answered["input_tokens"], answered["cache_write_1h_input_tokens"]) == (10, 2)
    assert (answered["duration_us"], answered["first_token_us"], answered["streamed"]) == (250_000, 50_000, 1)
    assert troubles == {(first, "failure", "provider_timed_out"): 1}
    assert durations == {(second, "duration", 250_000): 1, (second, "first_token", 50_000): 1}


@given(st.lists(st.integers(1, 80_000_000_000), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_told_to_within_a_quarter_of_its_value(lasted, share):
    """Beyond 10 ms: what is shorter is all in one bucket."""
    told = quantile(Counter(map(bucket_of, lasted)), share, max(lasted))
    place = next(n for n, _ in enumerate(lasted) if n + 1 >= share * len(lasted))
    exact = sorted(lasted)[place]
    assert exact / 1.28 - BOUNDS[0] <= told <= exact * 1.28 + BOUNDS[0]


def test_of_nothing_there_is_no_percentile():
    assert quantile({}, 0.5, 0) is None


@given(st.integers(0, 10**12))
def test_a_duration_is_in_one_bucket(duration):
    bound = bucket_of(duration)
    lower = max((other for other in BOUNDS if other < bound), default=-1)
    assert duration > lower
    assert duration <= bound or bound == BOUNDS[-1]
