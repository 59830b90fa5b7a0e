"""The most that a call can cost, turn after turn."""

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from send2llm.application.budgets.call_bounds import CallBounds, Transcript
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import CannotBound, PriceUnknown
from send2llm.domain.message import Message, TextPart
from send2llm.domain.money import Price, Rate, Tier
from send2llm.domain.pico_dollars import dollars, pico_dollars
from send2llm.domain.upper_bound import allowances_for, most_cost

CONVERSATION = UUID("00000000-0000-7000-8000-00000000c0de")
PRICE = Price("test prices 1", Rate(Decimal(3)), Rate(Decimal(15)))
FREE = Price("free", Rate(Decimal(0)), Rate(Decimal(0)))
HOURS = Price("by the hour", Rate(Decimal(0)), Rate(Decimal(0)), cache_write_1h=Rate(Decimal(9)))


class PriceList:
    def price(self, provider: str, model: str) -> Price | None:
        return {"unpriced": None, "free": FREE, "hours": HOURS}.get(model, PRICE)


def bounds(**terms: object) -> CallBounds:
    return CallBounds(PriceList(), BudgetPolicy(**terms))


def said(*texts: str, stored: int = 0) -> Transcript:
    return Transcript(CONVERSATION, [Message("user", (TextPart(text),)) for text in texts], stored)


def test_the_callers_own_limit_counts():
    bound = bounds().of("p", "m", said("Hi"), Parameters(max_output_tokens=50))
    expected = most_cost(PRICE, said("Hi").messages, Parameters(max_output_tokens=50), allowances=allowances_for("m"))
    assert (bound.output_limit, dollars(bound.most)) == (50, expected)


def test_without_a_limit_the_policy_has_one():
    assert bounds(output_tokens=700).of("p", "m", said("Hi"), Parameters()).output_limit == 700


@given(st.lists(st.text(max_size=20), min_size=1, max_size=8), st.data())
def test_what_was_counted_before_is_counted_the_same_again(texts, data):
    known = bounds()
    for _ in range(3):
        stored = data.draw(st.integers(0, len(texts)))
        now = known.of("p", "m", said(*texts, stored=stored), Parameters(max_output_tokens=9))
        assert now.most == bounds().of("p", "m", said(*texts), Parameters(max_output_tokens=9)).most


def test_what_is_free_needs_no_hold():
    assert bounds().of("p", "free", said("Hi"), Parameters()) is None


def test_what_costs_only_when_it_is_cached_for_an_hour_is_not_free():
    asked = Parameters(max_output_tokens=9, extras={"cache_control": {"type": "ephemeral", "ttl": "1h"}})

    bound = bounds().of("p", "hours", said("Hi"), asked)

    assert bound is not None
    assert dollars(bound.most) == most_cost(HOURS, said("Hi").messages, asked, allowances=allowances_for("hours"))
    assert bound.most > 0


def test_what_nobody_knows_the_price_of_is_refused_unless_the_policy_lets_it_through():
    with pytest.raises(PriceUnknown, match="p/unpriced has no known price"):
        bounds().of("p", "unpriced", said("Hi"), Parameters())
    assert bounds(unknown_price="allow").of("p", "unpriced", said("Hi"), Parameters()) is None


def test_fields_are_free_when_the_operator_says_so():
    asked = Parameters(max_output_tokens=9, extras={"house_rule": 1})
    with pytest.raises(CannotBound, match="house_rule"):
        bounds().of("p", "m", said("Hi"), asked)
    assert bounds(free_fields=frozenset({"house_rule"})).of("p", "m", said("Hi"), asked) is not None


@given(st.integers(1, 500), st.integers(1, 4), st.integers(0, 10**13))
def test_less_money_buys_shorter_answers(limit, choices, more):
    bound = bounds().of("p", "m", said("Hi"), Parameters(max_output_tokens=limit, choices=choices))
    shorter = bound.within(bound.least + more)
    assert bound.least <= shorter.most <= min(bound.most, bound.least + more)
    assert shorter.output_limit <= limit
    one_more = bound.cost.cost(shorter.output_limit + 1)
    assert shorter.output_limit == limit or one_more > bound.least + more  # it is as long as it can be


AMOUNTS = st.decimals(0, 100, places=9, allow_nan=False)


@given(AMOUNTS, AMOUNTS, st.none() | AMOUNTS, AMOUNTS, st.integers(1, 3), st.text(max_size=30))
def test_integers_come_to_what_the_exact_price_does(input_usd, output_usd, cache_usd, per_request, choices, text):
    cached = None if cache_usd is None else Rate(cache_usd)
    price = Price("p", Rate(input_usd), Rate(output_usd), cached, None, per_request)
    asked = Parameters(max_output_tokens=50, choices=choices)

    class Prices:
        def price(self, provider: str, model: str) -> Price:
            return price

    bound = CallBounds(Prices(), BudgetPolicy()).of("p", "m", said(text), asked)
    exact = pico_dollars(most_cost(price, said(text).messages, asked, allowances=allowances_for("m")))
    assert (0 if bound is None else bound.most) == exact


def test_a_price_that_depends_on_the_request_is_bounded_as_well():
    tiers = (Tier(1_000, Decimal(6)),)
    price = Price("p", Rate(Decimal(3), tiers), Rate(Decimal(15)), Rate(Decimal(1)), Rate(Decimal(4)))
    asked = Parameters(max_output_tokens=50)

    class Prices:
        def price(self, provider: str, model: str) -> Price:
            return price

    bound = CallBounds(Prices(), BudgetPolicy()).of("p", "m", said("Hi"), asked)
    assert dollars(bound.most) == most_cost(price, said("Hi").messages, asked, allowances=allowances_for("m"))
