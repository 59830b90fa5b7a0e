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
from send2llm.application.replay.recorded_prices import RecordedPrices
from send2llm.application.replay.repricing import at_prices, at_version, notes_on_version, reprice
from send2llm.application.replay.rerouting import Route, Strategy, Target, reroute
from send2llm.application.replay.token_spans import Span, costs_between
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
        "price_version": "",
        "digest": "d",
    }
    return Call(**{**fields, **other})


def test_every_call_is_priced_anew() -> None:
    calls = [call(), call(), call(model="large", cost="1")]
    report = reprice(calls, at_prices(OneList(small=CHEAP, large=CHEAP)), ["model"])
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
    total = reprice([interrupted, retried], at_prices(OneList(small=CHEAP)), []).total
    assert (total["kept"], total["replayed_usd"]) == (1, USD("0.5") + USD("0.3") + USD("0.002"))


def test_prices_that_nobody_knows_are_told_apart() -> None:
    calls = [call(model="unheard-of"), call(cost=None), call(status="refused", cost="0")]
    total = reprice(calls, at_prices(OneList(small=CHEAP)), []).total
    assert (total["calls"], total["left_out"], total["unknown_then"]) == (2, 1, 1)
    assert (total["recorded_usd"], total["replayed_usd"]) == (0, USD("0.002"))


def charged(price: Price, *usages: Usage, **other: Any) -> list[Call]:
    """Calls as they were charged by a price."""
    return [
        call(number, str(price.cost(usage)), usage=usage, price_version=price.version, **other)
        for number, usage in enumerate(usages)
    ]


OLD = Price("list 1", Rate(USD(3)), Rate(USD(15)), cache_read=Rate(USD("0.3")))


def test_the_prices_of_a_version_follow_from_its_calls() -> None:
    """Three kinds of tokens, three different calls, and a fourth that agrees."""
    told = charged(OLD, Usage(1000, 500), Usage(10, 70), Usage(100, 20, 80), Usage(500, 40, 100), model="small")
    retried = call(5, "0.5", failed_attempts_usd=USD("0.494"), usage=Usage(1000, 200), price_version="list 1")
    new = call(9, "0.7", usage=Usage(2_000_000, 1_000_000, 1_000_000), price_version="list 2")
    recorded = RecordedPrices.of([*told, retried, new], "list 1")
    assert recorded.versions == {"list 1", "list 2"}
    assert recorded.contradictions() == []
    total = reprice([new], at_version(recorded, OneList()), []).total
    assert (total["replayed_usd"], total["left_out"]) == (USD(3) + USD("0.3") + USD(15), 0)


def test_what_calls_do_not_tell_for_certain_is_left_out() -> None:
    told = charged(OLD, Usage(1000, 500), Usage(10, 70))
    asked = call(usage=Usage(20, 10))

    def left_out(*calls: Call, price: Call = asked) -> object:
        return reprice([price], at_version(RecordedPrices.of(calls, "list 1"), OneList()), []).total["left_out"]

    assert left_out(*told[:1]) == 1  # one equation, two prices
    assert left_out(*told, *told) == 1  # nothing else confirms them
    confirmed = [*told, *charged(OLD, Usage(7, 7))]
    assert left_out(*confirmed) == 0
    assert left_out(*confirmed, price=call(usage=Usage(20, 10, cache_read_input_tokens=5))) == 1
    assert left_out(*confirmed, price=call(usage=Usage(20, 10), model="large")) == 1
    # Neither do calls of other versions tell anything, nor what was assumed, nor what providers said themselves.
    assert left_out(*(one._replace(price_version="list 2") for one in confirmed)) == 1
    assert left_out(*(one._replace(assumed="its hold") for one in confirmed)) == 1
    assert RecordedPrices.of([call(price_version="reported by the provider")], "list 1").versions == set()


def test_tokens_that_would_cost_less_than_nothing_have_no_known_price() -> None:
    """Calls that agree on -$1 a million in and $3 out were not charged by these: no list has such a price."""
    costs = {Usage(10, 10): "0.00002", Usage(10, 20): "0.00005", Usage(5, 10): "0.000025"}
    told = [call(cost=cost, usage=usage, price_version="list 1") for usage, cost in costs.items()]
    recorded = RecordedPrices.of(told, "list 1")
    assert recorded.contradictions() == []
    assert recorded.cost("openai", "small", Usage(20, 40)) is None


def test_prices_that_depend_on_the_length_are_no_single_ones() -> None:
    usages = [Usage(10, 1), Usage(20, 9), Usage(30, 5), Usage(5000, 100)]
    recorded = RecordedPrices.of(charged(TIERED, *usages), "tiered")
    total = reprice([call()], at_version(recorded, OneList()), []).total
    assert (total["left_out"], recorded.contradictions()) == (1, ["openai/small"])
    assert "openai/small" in notes_on_version(recorded)[-1]
    # Today's list is of that version, and says it all.
    total = reprice([call()], at_version(recorded, OneList(small=TIERED)), []).total
    assert total["replayed_usd"] == TIERED.cost(Usage(1000, 500))


RATES = st.decimals(0, 100, places=4)
USAGES = st.builds(
    lambda fresh, read, written, hour, out: Usage(
        fresh + read + written + hour, out, read, written + hour, cache_write_1h_input_tokens=hour
    ),
    *[st.integers(0, 5000)] * 5,
)


@given(st.lists(RATES, min_size=5, max_size=5), st.lists(USAGES, max_size=12), USAGES)
def test_what_is_known_of_a_version_is_right(rates: list[Decimal], seen: list[Usage], asked: Usage) -> None:
    fresh, read, written, hour, out = map(Rate, rates)
    price = Price("list 1", fresh, out, read, written, cache_write_1h=hour)
    recorded = RecordedPrices.of(charged(price, *seen), "list 1")
    assert recorded.contradictions() == []
    assert recorded.cost("openai", "small", asked) in (None, price.cost(asked))


def test_sums_are_exact() -> None:
    calls = [call(cost="999999999999999.000000000001") for _ in range(1000)]
    total = reprice(calls, at_prices(OneList(small=CHEAP)), []).total
    assert total["recorded_usd"] == USD("999999999999999000.000000001")


def test_another_route_is_a_range() -> None:
    route = Route([Target("mistral/tiny", CHEAP, 5)], "first", Span.parse("0.9-1.2", "tokens"), ONE)
    report = reroute([call(), call()], route, ["model"])
    (line,) = report.lines
    assert report.title == "The same calls at mistral/tiny"
    assert (line["recorded_usd"], line["low_usd"], line["high_usd"]) == (USD("0.02"), USD("0.0036"), USD("0.0048"))
    assert report.notes[0] == "Tokens: 0.9-1.2 times those that were recorded; answers 1 times as long."
    assert any("quality" in note for note in report.notes)


ONE = Span(Fraction(1), Fraction(1))
READER = Target("a/reader", Price("1", Rate(USD(1)), Rate(USD(10))), 1500)
WRITER = Target("b/writer", Price("1", Rate(USD(4)), Rate(USD(4))), 3000)
LONG, SHORT, HUGE = Usage(1000, 100), Usage(100, 1000), Usage(2000, 2000)


def by_target(strategy: Strategy, *targets: Target, tokens: str = "1", length: str = "1") -> dict[Any, Any]:
    spans = Span.parse(tokens, "--tokens"), Span.parse(length, "--length")
    calls = [call(usage=usage) for usage in (LONG, LONG, SHORT, HUGE)]
    calls += [call(usage=None), call(usage=LONG, assumed="its hold"), call(status="refused")]
    lines = reroute(calls, Route(targets, strategy, *spans), []).lines
    return {line["to"]: (line["calls"], line["low_usd"], line["high_usd"], line["kept"]) for line in lines}


def test_every_call_goes_where_it_is_cheapest() -> None:
    """Reading 1000 and writing 100 costs $0.002 at the reader, $0.0044 at the writer; the reverse $0.0101, $0.0044."""
    assert by_target("cheapest", READER, WRITER) == {
        "a/reader": (2, USD("0.004"), USD("0.004"), 0),
        "b/writer": (1, USD("0.0044"), USD("0.0044"), 0),
        "as recorded": (3, USD("0.03"), USD("0.03"), 3),  # too long for both; no usage; assumed
    }


def test_the_dearer_end_of_the_range_decides() -> None:
    """Answers up to five times as long: $0.006 against $0.006 at most, so the first; at seven times, the writer."""
    five, seven = (by_target("cheapest", READER, WRITER, length=f"1-{times}") for times in (5, 7))
    assert five["a/reader"] == (2, USD("0.004"), USD("0.012"), 0)
    assert seven["b/writer"] == (2, USD("0.0088"), USD("0.0136"), 0)
    assert "a/reader" not in seven


def test_the_first_that_has_room_takes_the_call() -> None:
    wide = Target("c/wide", CHEAP)
    assert by_target("first", READER, WRITER, wide) == {
        "a/reader": (3, USD("0.0141"), USD("0.0141"), 0),
        "as recorded": (2, USD("0.02"), USD("0.02"), 2),
        "c/wide": (1, USD("0.006"), USD("0.006"), 0),
    }
    assert by_target("first", READER, WRITER, tokens="1-1.5")["b/writer"][0] == 3


def test_who_took_the_calls_is_told_within_each_group() -> None:
    calls = [call(usage=LONG), call(usage=SHORT), call(usage=SHORT, model="large")]
    report = reroute(calls, Route([READER, WRITER], "cheapest", ONE, ONE), ["model"])
    assert [(line["model"], line["to"], line["calls"]) for line in report.lines] == [
        ("large", "b/writer", 1),
        ("small", "a/reader", 1),
        ("small", "b/writer", 1),
    ]
    assert report.title == "The same calls at the cheapest of a/reader, b/writer"
    assert report.total["recorded_usd"] == USD("0.03")


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


@pytest.mark.parametrize(
    "text", ["", "a", "1-", "2-1", "0-1", "-1", "1-1000", "1/0", "1e999999999", "1-1e9999999", "nan", "٣"]
)
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


def test_a_cap_that_covers_nothing_is_told() -> None:
    caps = [Cap(BudgetScope(provider), USD(1), DAY) for provider in ("openai", "opneai")]
    told = BudgetReplay(caps, "costs", []).run([call()]).notes
    assert [note for note in told if note.startswith("No call is covered")] == [
        "No call is covered by provider=opneai: is it what calls name?"
    ]
    assert not any("No call is covered" in note for note in BudgetReplay(caps, "costs", []).run([]).notes)


def test_running_calls_hold_what_was_held_for_them() -> None:
    calls = [call(0, "0.1", hold_usd=USD("0.9"), lasts=10), call(5, "0.2"), call(11, "0.2")]
    cap = Cap(WHOLE_SERVICE, USD(1), DAY)
    assert [line["first_refusal"] for line in refusals(calls, cap)] == [NOON + timedelta(minutes=5)]
    assert [line["refused"] for line in refusals(calls, cap, rule="costs")] == [0]


def test_a_call_needs_what_it_cost_where_less_was_held() -> None:
    """What was held is that of the last attempt; all of them together may have cost more."""
    (line,) = refusals([call(cost="0.5", hold_usd=USD("0.1"))], Cap(WHOLE_SERVICE, USD("0.3"), DAY))
    assert (line["refused"], line["spent_usd"]) == (1, 0)


def test_a_call_that_has_just_ended_holds_nothing_any_more() -> None:
    calls = [call(0, "0.1", hold_usd=USD("0.9"), lasts=5), call(5, "0.2")]
    (line,) = refusals(calls, Cap(WHOLE_SERVICE, USD(1), DAY))
    assert (line["refused"], line["spent_usd"]) == (0, USD("0.3"))


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


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_what_was_not_answered_answers_nobody(status: str) -> None:
    total = replay_cache([call(0, status=status), call(2), call(4)], 300, []).total
    assert (total["calls"], total["hits"]) == (3, 1)


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


@pytest.mark.parametrize("seconds", [-1, 1e30, float("inf"), float("nan")])
def test_a_lifetime_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidRequest, match="is no lifetime"):
        replay_cache([], seconds, [])


def test_a_group_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not one of day, provider"):
        reprice([], at_prices(OneList()), ["colour"])
