"""What is in a request counts, nothing costs more than the most it can, and an amount buys as much as it can."""

import math
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.domain.money import Price, Rate, Tier
from send2llm.domain.upper_bound import (
    ANY_MODEL,
    UNLIMITED_OUTPUT_TOKENS,
    Allowances,
    CannotBound,
    affordable_output_tokens,
    allowances_for,
    is_flat,
    most_cost,
    most_input_tokens,
    most_output_tokens,
    output_limit,
    text_size,
)

HELLO = [Message("user", (TextPart("Hello!"),))]
NOTHING = Parameters()
EXACT = Allowances(hidden_prompt=0)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}

DOLLARS = st.decimals(0, 1000, places=9)
TOKENS = st.integers(0, 3000) | st.just(3000)


@st.composite
def rates(draw):
    """Any rate, also one that gets cheaper with length."""
    steps = sorted(draw(st.lists(st.integers(0, 2000), max_size=3, unique=True)))
    return Rate(draw(DOLLARS), tuple(Tier(above, draw(DOLLARS)) for above in steps))


PRICES = st.builds(
    Price, st.just("test 1"), rates(), rates(), st.none() | rates(), st.none() | rates(), per_request=DOLLARS
)
PARAMETERS = st.builds(Parameters, max_output_tokens=st.integers(1, 10_000), choices=st.integers(1, 4))


@st.composite
def usages(draw, most_input, most_output):
    total = draw(st.integers(0, most_input) | st.just(most_input))
    read = draw(st.integers(0, total))
    return Usage(total, draw(st.integers(0, most_output)), read, draw(st.integers(0, total - read)))


@given(PRICES, PARAMETERS, TOKENS, st.data())
def test_no_usage_within_the_bounds_costs_more(price, parameters, input_tokens, data):
    most = most_cost(price, HELLO, parameters, input_tokens=input_tokens)
    usage = data.draw(usages(input_tokens, most_output_tokens(parameters)))
    assert price.cost(usage) <= most


FOR_AN_HOUR = {"type": "default", "ttl": "1h"}
ASKS_FOR_AN_HOUR = st.sampled_from(
    [
        {"extras": {"cache_control": FOR_AN_HOUR}},
        {"tools": ({"type": "function", "function": {"name": "f", "cache_control": FOR_AN_HOUR}},)},
        {"tools": ({"type": "function", "function": {"name": "f"}, "bedrock": {"cachePoint": FOR_AN_HOUR}},)},
    ]
)
PRICES_FOR_AN_HOUR = st.builds(replace, PRICES, cache_write_1h=st.none() | rates())


@given(PRICES_FOR_AN_HOUR, PARAMETERS, ASKS_FOR_AN_HOUR, TOKENS, st.data())
def test_nor_does_any_that_is_cached_for_an_hour(price, parameters, asked, input_tokens, data):
    parameters = replace(parameters, **asked)
    usage = data.draw(usages(input_tokens, most_output_tokens(parameters)))
    for_an_hour = data.draw(st.integers(0, usage.cache_write_input_tokens))
    usage = replace(usage, cache_write_1h_input_tokens=for_an_hour)

    assert price.cost(usage) <= most_cost(price, HELLO, parameters, input_tokens=input_tokens)


def test_a_price_of_what_is_kept_for_an_hour_is_heeded_without_one_of_what_is_kept_for_less():
    price = Price("test 1", Rate(Decimal(3)), Rate(Decimal(0)), cache_write_1h=Rate(Decimal(9)))
    asked = Parameters(max_output_tokens=1, extras={"cache_control": FOR_AN_HOUR})

    assert not is_flat(price)
    assert most_cost(price, HELLO, asked, input_tokens=1_000_000) == 9
    assert price.cost(Usage(1_000_000, 0, 0, 1_000_000, cache_write_1h_input_tokens=1_000_000)) == 9


@given(PRICES, PARAMETERS, TOKENS, TOKENS)
def test_a_longer_prompt_never_has_a_lower_bound(price, parameters, fewer, more):
    fewer, more = sorted((fewer, more))
    assert most_cost(price, HELLO, parameters, input_tokens=fewer) <= most_cost(
        price, HELLO, parameters, input_tokens=more
    )


@given(PRICES, st.integers(1, 4), st.integers(0, 3000), st.decimals(0, 20, places=15))
def test_an_amount_buys_the_longest_answer_that_is_sure_to_fit(price, choices, input_tokens, amount):
    def cost(tokens):
        parameters = Parameters(max_output_tokens=tokens, choices=choices)
        return most_cost(price, HELLO, parameters, input_tokens=input_tokens)

    tokens = affordable_output_tokens(price, HELLO, Parameters(choices=choices), amount, input_tokens=input_tokens)
    if tokens:
        assert cost(tokens) <= amount
    if tokens < UNLIMITED_OUTPUT_TOKENS:
        assert cost(tokens + 1) > amount


@given(PRICES, PARAMETERS, st.integers(0, 3000))
def test_the_most_that_a_request_can_cost_pays_for_all_of_its_answer(price, parameters, input_tokens):
    amount = most_cost(price, HELLO, parameters, input_tokens=input_tokens)
    tokens = affordable_output_tokens(price, HELLO, parameters, amount, input_tokens=input_tokens)
    assert tokens == parameters.max_output_tokens


def test_a_dearer_tier_counts_from_where_the_true_count_may_reach_it():
    price = Price("test 1", Rate(Decimal(1), (Tier(1000, Decimal(2)),)), Rate(Decimal(0), (Tier(1000, Decimal(5)),)))
    answer = Parameters(max_output_tokens=1000)
    assert most_cost(price, HELLO, answer, input_tokens=1000) == Decimal("0.001")
    assert most_cost(price, HELLO, answer, input_tokens=1001) == Decimal("0.007002")


def test_a_cheaper_tier_does_not_count_because_the_true_count_may_not_reach_it():
    price = Price("test 1", Rate(Decimal(2), (Tier(1000, Decimal(1)),)), Rate(Decimal(0)))
    assert most_cost(price, HELLO, Parameters(max_output_tokens=1), input_tokens=2000) == Decimal("0.004")


PRICE = Price("test 1", Rate(Decimal(2)), Rate(Decimal(10)))


def test_an_amount_that_buys_less_than_the_floor_buys_nothing():
    def buy(amount, limit=None, floor=100):
        parameters = Parameters(max_output_tokens=limit)
        return affordable_output_tokens(PRICE, HELLO, parameters, Decimal(amount), floor=floor, input_tokens=500)

    assert buy("0.002") == 100
    assert buy("0.0019999") == 0
    assert buy("0.0019999", floor=99) == 99
    assert buy("0.0019999", limit=20) == 20
    assert buy("0.0011", limit=20) == 0
    assert buy("0") == buy("-1") == 0


def test_a_free_answer_may_be_as_long_as_any():
    free = Price("free", Rate(Decimal(0)), Rate(Decimal(0)))
    assert affordable_output_tokens(free, HELLO, NOTHING, Decimal(0)) == UNLIMITED_OUTPUT_TOKENS
    assert affordable_output_tokens(free, HELLO, NOTHING, Decimal(0), model_limit=4096) == 4096


def test_an_answer_without_any_limit_has_no_bound():
    assert output_limit(NOTHING) is None
    assert most_output_tokens(NOTHING) is None
    with pytest.raises(CannotBound, match="max_completion_tokens"):
        most_cost(PRICE, HELLO, NOTHING)


def test_the_lower_limit_of_caller_and_model_counts_for_each_choice():
    assert most_output_tokens(Parameters(choices=3), 1000) == 3000
    assert most_output_tokens(Parameters(max_output_tokens=200, choices=3), 1000) == 600
    assert most_output_tokens(Parameters(max_output_tokens=5000), 1000) == 1000


def test_writing_to_the_cache_for_an_hour_is_dearer():
    """As Claude is priced: 3 dollars, 3.75 for five minutes, 6 for an hour."""
    price = Price("test 1", Rate(Decimal(3)), Rate(Decimal(0)), Rate(Decimal("0.3")), Rate(Decimal("3.75")))
    answer = Parameters(max_output_tokens=1)

    def cost(control):
        messages = [Message("user", (TextPart("Hello!", extras={"cache_control": control}),))]
        return most_cost(price, messages, answer, input_tokens=1_000_000)

    assert cost({"type": "ephemeral"}) == Decimal("3.75")
    assert cost({"type": "ephemeral", "ttl": "1h"}) == Decimal(6)


@pytest.mark.parametrize(
    "part",
    [
        TextPart("x", extras={"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        ToolResultPart("a", "x", extras={"text": {"cache_control": {"type": "ephemeral", "ttl": "1h"}}}),
        ForeignPart("anthropic", {"type": "x", "content": [{"cache_control": {"type": "ephemeral", "ttl": "1h"}}]}),
    ],
)
def test_caching_for_an_hour_costs_what_the_catalogue_says_wherever_it_is_asked_for(part):
    free = Rate(Decimal(0))
    price = Price("test 1", Rate(Decimal(3)), free, free, Rate(Decimal("3.75")), cache_write_1h=Rate(Decimal(9)))
    answer = Parameters(max_output_tokens=1)
    assert most_cost(price, [Message("user", (part,))], answer, input_tokens=1_000_000) == 9
    assert most_cost(price, HELLO, answer, input_tokens=1_000_000) == Decimal("3.75")


@pytest.mark.parametrize(("ttl", "dollars"), [({}, "3.75"), ({"ttl": "5m"}, "3.75"), ({"ttl": "1h"}, "6")])
def test_so_it_is_behind_a_tool_of_bedrock(ttl, dollars):
    price = Price("test 1", Rate(Decimal(3)), Rate(Decimal(0)), Rate(Decimal("0.3")), Rate(Decimal("3.75")))
    point = {"cachePoint": {"type": "default", **ttl}}
    parameters = Parameters(
        max_output_tokens=1, tools=({"type": "function", "function": {"name": "f"}, "bedrock": point},)
    )

    bound = most_cost(price, [Message("user", (TextPart("Hello!"),))], parameters, input_tokens=1_000_000)

    assert bound == Decimal(dollars)


SENSITIVE = [
    [Message("user", (TextPart("x" * 100),))],
    [Message("user", (TextPart("Hello!"),), name="x" * 100)],
    [Message("assistant", (RefusalPart("x" * 100),))],
    [Message("assistant", (ToolCallPart("x" * 100, "f", "{}"),))],
    [Message("assistant", (ToolCallPart("call", "x" * 100, "{}"),))],
    [Message("assistant", (ToolCallPart("call", "f", "x" * 100),))],
    [Message("tool", (ToolResultPart("x" * 100, "sunny"),))],
    [Message("tool", (ToolResultPart("call", "x" * 100),))],
    [Message("user", (TextPart("Hello!", extras={"x": "x" * 100}),))],
    [Message("assistant", (TextPart("Hello!"),), extras={"reasoning_content": "x" * 100})],
    [Message("assistant", (ForeignPart("anthropic", {"type": "thinking", "thinking": "x" * 100}),))],
    [Message("user", (ImagePart("https://example.com/cat.jpg", extras={"x": "x" * 100}),))],
    [Message("user", (TextPart("Hello!"),) * 30)],
    HELLO * 10,
]


@pytest.mark.parametrize("messages", SENSITIVE)
def test_everything_that_a_model_may_read_counts(messages):
    assert most_input_tokens(messages, NOTHING, EXACT) >= 100 + most_input_tokens([], NOTHING, EXACT)


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters(tools=(TOOL,)),
        Parameters(response_format={"type": "json_schema", "json_schema": {"name": "x" * 100}}),
        Parameters(extras={"functions": [TOOL["function"]]}),
        Parameters(tools=(MappingProxyType(TOOL),)),
    ],
)
def test_every_field_that_a_model_may_read_counts(parameters):
    assert most_input_tokens(HELLO, parameters) >= 100 + most_input_tokens(HELLO, NOTHING)


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters(stop=("x" * 100,), seed=1, temperature=0.5, top_p=0.5),
        Parameters(response_format={"type": "text"}),
        Parameters(extras={"user": "x" * 100, "service_tier": "flex", "modalities": ["text"]}),
    ],
)
def test_what_no_model_reads_does_not_count(parameters):
    assert most_input_tokens(HELLO, parameters) == most_input_tokens(HELLO, NOTHING)


@pytest.mark.parametrize(
    ("messages", "parameters", "param"),
    [
        ([Message("user", (ForeignPart("openai", {"type": "input_audio", "data": ""}),))], NOTHING, "messages"),
        ([Message("user", (ForeignPart("openai", {"type": "file", "file": {"file_id": "f"}}),))], NOTHING, "messages"),
        ([Message("assistant", (), extras={"audio": {"id": "audio_1"}})], NOTHING, "messages"),
        (HELLO, Parameters(tools=({"type": "web_search"},)), "tools"),
        (HELLO, Parameters(extras={"web_search_options": {}}), "web_search_options"),
        (HELLO, Parameters(extras={"prediction": {"type": "content", "content": ""}}), "prediction"),
        (HELLO, Parameters(extras={"service_tier": "priority"}), "service_tier"),
        (HELLO, Parameters(extras={"service_tier": {}}), "service_tier"),
        (HELLO, Parameters(extras={"modalities": ["text", "audio"]}), "modalities"),
        (HELLO, Parameters(extras={"field_of_tomorrow": 1}), "field_of_tomorrow"),
    ],
)
def test_what_has_no_bound_is_refused(messages, parameters, param):
    with pytest.raises(CannotBound) as refusal:
        most_input_tokens(messages, parameters)
    assert refusal.value.param == param
    assert refusal.value.code == "cannot_bound_cost"


def test_a_tool_that_only_its_format_knows_is_named_by_its_own_type():
    tool = {"type": "foreign", "format": "anthropic", "body": {"type": "web_search_20250305", "name": "web_search"}}
    with pytest.raises(CannotBound, match="'web_search_20250305'"):
        most_input_tokens(HELLO, Parameters(tools=(tool,)))


def test_the_operator_can_declare_a_field_free():
    parameters = Parameters(extras={"field_of_tomorrow": 1})
    assert most_input_tokens(HELLO, parameters, Allowances(free_fields=frozenset({"field_of_tomorrow"})))


def test_no_prompt_is_longer_than_the_context_window():
    long = [Message("user", (TextPart("word " * 1000),))]
    assert most_input_tokens(long, NOTHING, Allowances(context_window=2048)) == 2048
    assert most_input_tokens(HELLO, NOTHING, Allowances(context_window=2**20)) == most_input_tokens(HELLO, NOTHING)


@pytest.mark.parametrize(
    ("model", "hidden"),
    [
        ("gpt-4o-mini-2024-07-18", 0),
        ("openai/gpt-6.1-sol", 0),
        ("claude-opus-5-5", 0),
        ("openai/gpt-oss-120b", ANY_MODEL.hidden_prompt),
        ("grok-4.7", ANY_MODEL.hidden_prompt),
        ("my-own-model", ANY_MODEL.hidden_prompt),
    ],
)
def test_a_hidden_prompt_is_allowed_for_unless_the_model_is_known_to_have_none(model, hidden):
    assert allowances_for(model).hidden_prompt == hidden


def test_tools_come_with_instructions_of_up_to_530_tokens():
    """Published for Claude 3 Opus, the most of all: https://docs.anthropic.com/en/docs/tool-use-pricing-and-tokens."""
    assert most_input_tokens([], Parameters(tools=(TOOL,)), EXACT) >= 530 + most_input_tokens([], NOTHING, EXACT)


def test_deeply_nested_arguments_are_only_text():
    arguments = "[" * 100_000 + "\\u0041"
    assert most_input_tokens([Message("assistant", (ToolCallPart("", "f", arguments),))], NOTHING) > 100_000


def test_text_in_ascii_is_bounded_by_its_length_alone(monkeypatch):
    def slow(text):
        raise AssertionError("Looking at each character is for other text.")

    monkeypatch.setattr(text_size, "most_growth", slow)
    monkeypatch.setattr(text_size, "utf8_length", slow)
    messages = [Message(role, (TextPart("The quick brown fox."),)) for role in ("system", "user", "assistant", "user")]
    assert most_input_tokens(messages, NOTHING) > 4 * len("The quick brown fox.")


def test_a_bound_is_a_whole_number_of_tokens_and_a_finite_cost():
    assert isinstance(most_input_tokens(HELLO, NOTHING), int)
    assert math.isfinite(most_cost(PRICE, HELLO, Parameters(max_output_tokens=10)))
