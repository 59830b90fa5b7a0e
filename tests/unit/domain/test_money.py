"""Costs are exact, and rounded up once."""

from decimal import Context, Decimal, localcontext
from fractions import Fraction

from hypothesis import given, strategies as st

from send2llm.domain.completion import Usage
from send2llm.domain.money import PICO_DOLLAR, ZERO, Price, Rate, Tier, round_up

PICO = Fraction(PICO_DOLLAR)
DOLLARS = st.decimals(0, 100_000, places=9)
TOKENS = st.integers(0, 10**12)


@st.composite
def rates(draw):
    """A rate whose tiers never get cheaper."""
    steps = sorted(draw(st.lists(TOKENS, max_size=3, unique=True)))
    amounts = sorted(draw(st.lists(DOLLARS, min_size=len(steps) + 1, max_size=len(steps) + 1)))
    return Rate(amounts[0], tuple(Tier(above, usd) for above, usd in zip(steps, amounts[1:], strict=True)))


PRICES = st.builds(
    Price,
    st.just("test 1"),
    rates(),
    rates(),
    st.none() | rates(),
    st.none() | rates(),
    per_request=DOLLARS,
    cache_write_1h=st.none() | rates(),
)


@st.composite
def usages(draw):
    total = draw(TOKENS)
    read = draw(st.integers(0, total))
    written = draw(st.integers(0, total - read))
    return Usage(total, draw(TOKENS), read, written, cache_write_1h_input_tokens=draw(st.integers(0, written)))


def exact(price, usage):
    def part(tokens, rate):
        return tokens * Fraction(rate.at(usage.input_tokens))

    fresh = usage.input_tokens - usage.cache_read_input_tokens - usage.cache_write_input_tokens
    write = price.cache_write or price.input
    million_fold = (
        part(fresh, price.input)
        + part(usage.cache_read_input_tokens, price.cache_read or price.input)
        + part(usage.cache_write_input_tokens - usage.cache_write_1h_input_tokens, write)
        + part(usage.cache_write_1h_input_tokens, price.cache_write_1h or write)
        + part(usage.output_tokens, price.output)
    )
    return million_fold / 10**6 + Fraction(price.per_request)


@given(PRICES, usages())
def test_a_cost_is_the_true_one_rounded_up_by_less_than_a_pico_dollar(price, usage):
    cost = price.cost(usage)
    assert 0 <= Fraction(cost) - exact(price, usage) < PICO
    assert cost.as_tuple().exponent >= -12


@given(PRICES, usages(), st.integers(1, 5))
def test_the_callers_decimal_context_does_not_matter(price, usage, precision):
    with localcontext(Context(prec=precision)):
        coarse = price.cost(usage)
    assert coarse == price.cost(usage)


@given(PRICES, usages(), TOKENS)
def test_more_output_never_costs_less(price, usage, more):
    longer = Usage(
        usage.input_tokens,
        usage.output_tokens + more,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        cache_write_1h_input_tokens=usage.cache_write_1h_input_tokens,
    )
    assert price.cost(longer) >= price.cost(usage)


@given(PRICES, usages(), TOKENS)
def test_more_input_never_costs_less(price, usage, more):
    longer = Usage(
        usage.input_tokens + more,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        cache_write_1h_input_tokens=usage.cache_write_1h_input_tokens,
    )
    assert price.cost(longer) >= price.cost(usage)


@given(st.decimals(0, 10**20, places=20))
def test_rounding_up_is_by_less_than_a_pico_dollar_and_happens_once(amount):
    rounded = round_up(amount)
    assert 0 <= Fraction(rounded) - Fraction(amount) < PICO
    assert round_up(rounded) == rounded


def test_nothing_used_costs_the_request_alone():
    price = Price("test 1", Rate(Decimal(3)), Rate(Decimal(15)), per_request=Decimal("0.01"))
    assert price.cost(Usage()) == Decimal("0.01")


def test_a_known_bill():
    price = Price("test 1", Rate(Decimal("2.5")), Rate(Decimal(10)), cache_read=Rate(Decimal("1.25")))
    assert price.cost(Usage(1_000, 500, cache_read_input_tokens=400)) == Decimal("0.007")


def test_a_single_token_of_a_cheap_model_is_exact():
    assert Price("test 1", Rate(Decimal("0.02")), Rate(ZERO)).cost(Usage(1)) == Decimal("0.00000002")


def test_a_tier_applies_to_all_tokens_above_its_bound():
    rate = Rate(Decimal(1), (Tier(200_000, Decimal(2)), Tier(1_000_000, Decimal(4))))
    assert [rate.at(tokens) for tokens in (0, 200_000, 200_001, 1_000_000, 1_000_001)] == [1, 1, 2, 2, 4]


def test_cached_tokens_without_a_rate_of_their_own_cost_as_much_as_any():
    price = Price("test 1", Rate(Decimal(3)), Rate(ZERO))
    assert price.cost(Usage(100, cache_read_input_tokens=60, cache_write_input_tokens=40)) == price.cost(Usage(100))


def test_a_report_with_more_cached_than_read_tokens_never_earns_money():
    price = Price("test 1", Rate(Decimal(3)), Rate(ZERO), cache_read=Rate(Decimal(1)))
    assert price.cost(Usage(10, cache_read_input_tokens=20)) == Decimal("0.00002")
