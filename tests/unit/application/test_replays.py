"""What the same calls would have cost: given calls, when replayed, then a report."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from send2llm.application.replay.budget_caps import BudgetReplay, Cap
from send2llm.application.replay.cache_lifetime import replay_cache
from send2llm.application.replay.calls import Call
from send2llm.application.replay.repricing import reprice
from send2llm.application.replay.rerouting import Span, costs_between, reroute
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetScope
from send2llm.domain.completion import Usage
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.money import Price, Rate, Tier

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
CHEAP = Price("cheap", Rate(Decimal(1)), Rate(Decimal(2)))
USD = Decimal


class OneList:
    """A price list in memory."""

    def __init__(self, **prices: Price) -> None:
        self._prices = prices

    def price(self, provider: str, model: str) -> Price | None:
        return self._prices.get(model)


def call(minute: float = 0, cost: str | None = "0.01", *, lasts: float = 1, **other: Any) -> Call:
    """A call that begins some minutes after noon and lasts some; ``other`` fields as wanted."""
    begins = NOON + timedelta(minutes=minute)
    fields: dict[str, Any] = {
        "day": begins.date().isoformat(),
        "requested_at": begins,
        "ended_at": begins + timedelta(minutes=lasts),
        "tenant": "default",
        "actor": "api_key",
        "provider": "openai",
        "model": "small",
        "status": "received",
        "usage": Usage(1000, 500),
        "cost_usd": None if cost is None else USD(cost),
        "failed_attempts_usd": USD(0),
        "hold_usd": None,
        "assumed": "",
        "digest": "d",
    }
    return Call(**{**fields, **other})


def test_every_call_is_priced_anew() -> None:
    calls = [call(), call(), call(model="large", cost="1")]
    report = reprice(calls, OneList(small=CHEAP, large=CHEAP), ["model"])
    assert [dict(line) for line in report.lines] == [
        {
            "model": model,
            "calls": n,
            "input_tokens": 1000 * n,
            "output_tokens": 500 * n,
            "recorded_usd": USD(recorded),
            "replayed_usd": USD("0.002") * n,
            "difference_usd": USD("0.002") * n - USD(recorded),
            "kept": 0,
            "unknown_then": 0,
            "left_out": 0,
        }
        for model, n, recorded in (("large", 1, "1"), ("small", 2, "0.02"))
    ]
    assert report.total["replayed_usd"] == USD("0.006")


def test_what_does_not_follow_from_tokens_is_kept() -> None:
    interrupted = call(cost="0.5", status="interrupted", usage=None, assumed="its hold")
    retried = call(cost="0.31", failed_attempts_usd=USD("0.3"))
    total = reprice([interrupted, retried], OneList(small=CHEAP), []).total
    assert (total["kept"], total["replayed_usd"]) == (1, USD("0.5") + USD("0.3") + USD("0.002"))


def test_prices_that_nobody_knows_are_told_apart() -> None:
    calls = [call(model="unheard-of"), call(cost=None), call(status="refused", cost="0")]
    total = reprice(calls, OneList(small=CHEAP), []).total
    assert (total["calls"], total["left_out"], total["unknown_then"]) == (2, 1, 1)
    assert (total["recorded_usd"], total["replayed_usd"]) == (0, USD("0.002"))


def test_sums_are_exact() -> None:
    calls = [call(cost="999999999999999.000000000001") for _ in range(1000)]
    total = reprice(calls, OneList(small=CHEAP), []).total
    assert total["recorded_usd"] == USD("999999999999999000.000000001")


def test_another_route_is_a_range() -> None:
    report = reroute([call(), call()], "mistral/tiny", CHEAP, Span.parse("0.9-1.2", "tokens"), ONE, ["model"])
    (line,) = report.lines
    assert (line["recorded_usd"], line["low_usd"], line["high_usd"]) == (USD("0.02"), USD("0.0036"), USD("0.0048"))
    assert any("quality" in note for note in report.notes)


ONE = Span(Fraction(1), Fraction(1))
TOKENS = st.integers(0, 3000)
TIERED = Price(
    "tiered",
    Rate(USD(3), (Tier(500, USD(1)), Tier(1500, USD(6)))),
    Rate(USD(9), (Tier(1000, USD(2)),)),
    cache_read=Rate(USD("0.3")),
    cache_write=Rate(USD(4)),
)


@given(TOKENS, TOKENS, TOKENS, TOKENS, st.fractions(Fraction(9, 10), Fraction(6, 5)))
def test_whatever_the_factor_is_the_cost_is_in_the_range(
    read: int, written: int, fresh: int, out: int, factor: Fraction
) -> None:
    usage = Usage(read + written + fresh, out, read, written)
    span = Span(Fraction(9, 10), Fraction(6, 5))
    low, high = costs_between(TIERED, usage, span, span)
    seen = int(usage.input_tokens * factor)
    for cached in (0, 1):
        there = Usage(seen, int(out * factor), cached * int(read * factor), cached * int(written * factor))
        # A token more or less of each kind: parts are rounded for themselves.
        assert low - USD("0.00002") <= TIERED.cost(there) <= high + USD("0.00002")


@pytest.mark.parametrize("text", ["", "a", "1-", "2-1", "0-1", "-1", "1-1000", "1/0"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"write 0\.9-1\.2"):
        Span.parse(text, "--tokens")


def refusals(calls: Iterable[Call], *caps: Cap, rule: Any = "holds", by: Any = ()) -> list[dict[str, Any]]:
    return [dict(line) for line in BudgetReplay(caps, rule, by).run(calls).lines]


DAY = Recurrence("day")


def test_a_cap_refuses_what_does_not_fit() -> None:
    calls = [call(2 * n, "0.4") for n in range(4)]
    (line,) = refusals(calls, Cap(WHOLE_SERVICE, USD(1), DAY))
    assert line == {
        "budget": "service",
        "period": "2026-11-26",
        "limit_usd": 1,
        "calls": 4,
        "refused": 2,
        "first_refusal": NOON + timedelta(minutes=4),
        "refused_usd": USD("0.8"),
        "spent_usd": USD("0.8"),
    }


def test_running_calls_hold_what_was_held_for_them() -> None:
    calls = [call(0, "0.1", hold_usd=USD("0.9"), lasts=10), call(5, "0.2"), call(11, "0.2")]
    cap = Cap(WHOLE_SERVICE, USD(1), DAY)
    assert [line["first_refusal"] for line in refusals(calls, cap)] == [NOON + timedelta(minutes=5)]
    assert [line["refused"] for line in refusals(calls, cap, rule="costs")] == [0]


def test_each_period_and_scope_has_its_own_books() -> None:
    tomorrow = 24 * 60
    calls = [call(0, "0.9"), call(2, "0.9", provider="anthropic"), call(4, "0.9"), call(tomorrow, "0.9")]
    lines = refusals(calls, Cap(BudgetScope("openai"), USD(1), DAY))
    assert [(line["period"], line["calls"], line["refused"]) for line in lines] == [
        ("2026-11-26", 2, 1),
        ("2026-11-27", 1, 0),
    ]
    grouped = refusals(calls, Cap(BudgetScope("openai"), USD(1), DAY), by=["provider"])
    assert [(line["provider"], line["calls"], line["refused"]) for line in grouped] == [
        ("anthropic", 1, 0),
        ("openai", 3, 1),
    ]


def test_a_cache_answers_exact_repeats_within_its_lifetime() -> None:
    calls = [
        call(0, lasts=1),
        call(0.5),  # the first answer is not there yet
        call(2),  # a hit
        call(2, tenant="other"),
        call(2, digest="other"),
        call(8),  # too late for both answers, and asked anew
        call(10),  # a hit
    ]
    total = replay_cache(calls, 300, []).total
    assert (total["calls"], total["hits"], total["saved_usd"]) == (7, 2, USD("0.02"))


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 30), st.sampled_from("ab")), max_size=40))
def test_the_cache_agrees_with_looking_at_all_answers(asked: list[tuple[int, int, str]]) -> None:
    calls = [call(at / 60, lasts=lasts / 60, digest=digest) for at, lasts, digest in sorted(asked)]
    answers: list[Call] = []
    hits = 0
    for one in calls:
        ages = [one.requested_at - told.ended_at for told in answers if told.digest == one.digest]
        if any(timedelta(0) <= age <= timedelta(seconds=100) for age in ages):
            hits += 1
        else:
            answers.append(one)
    assert replay_cache(calls, 100, []).total["hits"] == hits


def test_a_group_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not one of day, provider"):
        reprice([], OneList(), ["colour"])
