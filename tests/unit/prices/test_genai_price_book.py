"""The catalogue's prices in the domain's terms; the catalogue's own arithmetic is the judge."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot

from send2llm.domain.completion import Usage
from send2llm.domain.money import ZERO, round_up
from send2llm.infrastructure.prices import GenaiPriceBook
from send2llm.infrastructure.prices.genai import MOST_REMEMBERED
from send2llm.testing.clock import FakeClock

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
USAGES = (Usage(1000, 500), Usage(300_001, 17, cache_read_input_tokens=250_000, cache_write_input_tokens=20_000))
TOKENS = {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"}


def book(base_url: str = "https://api.openai.com/v1", name: str = "mine", **catalogue_ids: str) -> GenaiPriceBook:
    return GenaiPriceBook({name: base_url}, FakeClock(NOW), catalogue_ids=catalogue_ids)


def sampled() -> list[tuple[str, str]]:
    """Every fifth model that is sold by the token alone, of every provider."""
    models = [
        (provider.id, model.id)
        for provider in get_snapshot().providers
        for model in provider.models
        if {"input_mtok"} <= {key for key, value in vars(model.get_prices(NOW)).items() if value is not None} <= TOKENS
    ]
    return list(islice(models, 0, None, 5))


@pytest.mark.parametrize("usage", USAGES)
def test_costs_are_what_the_catalogue_calculates(usage: Usage) -> None:
    compared = 0
    for provider, model in sampled():
        price = book("http://localhost/v1", mine=provider).price("mine", model)
        theirs = genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_input_tokens,
            cache_write_tokens=usage.cache_write_input_tokens,
        )
        try:
            expected = genai_prices.calc_price(theirs, model, provider_id=provider, genai_request_timestamp=NOW)
        except LookupError:  # ids that stand for prefixes, and are no names themselves
            continue
        if price is not None and expected.model.id == model:
            assert price.cost(usage) == round_up(expected.total_price), (provider, model)
            compared += 1
    assert compared > 300


def test_what_the_cache_keeps_for_an_hour_costs_more() -> None:
    price = book("https://api.anthropic.com").price("mine", "claude-opus-5")

    assert price is not None
    assert price.cache_write is not None
    assert price.cache_write_1h is not None
    assert (price.cache_write.usd, price.cache_write_1h.usd) == (Decimal("6.25"), Decimal(10))
    for_an_hour = Usage(1_000_000, 0, 0, 1_000_000, cache_write_1h_input_tokens=1_000_000)
    assert price.cost(for_an_hour) == Decimal(10)


@pytest.mark.parametrize(
    ("base_url", "model", "input_usd"),
    [
        ("https://api.openai.com/v1", "gpt-4o", "2.5"),
        ("https://api.openai.com/v1", "gpt-4o-2024-08-06", "2.5"),
        ("https://api.openai.com/v1", "GPT-4o", "2.5"),
        ("https://api.openai.com/v1", "gpt-4.1-20250414", "2"),
        ("https://api.openai.com/v1", "ft:gpt-4o-mini-2024-07-18:acme::abc123", "0.3"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro", "1.25"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro-preview-05-06", "1.25"),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o", "2.5"),
    ],
)
def test_names_and_versions_that_are_known(base_url: str, model: str, input_usd: str) -> None:
    price = book(base_url).price("mine", model)

    assert price is not None
    assert price.input.usd == Decimal(input_usd)
    assert price.version == f"genai-prices {genai_prices.__version__}"


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        ("https://api.openai.com/v1", "gpt-6"),
        ("https://api.openai.com/v1", "gpt-4o-ultra"),
        ("https://api.openai.com/v1", "gpt-5-nano-giant"),
        ("https://api.openai.com/v1", "gpt-4.5-preview-thinking"),
        ("https://api.openai.com/v1", ""),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro-new"),
        ("https://api.anthropic.com/v1", "claude-opus-5-9"),
        ("https://api.deepseek.com", "deepseek-v4-pro-max"),
        ("http://localhost:8000/v1", "gpt-4o"),
    ],
)
def test_what_only_begins_like_a_known_model_has_no_known_price(base_url: str, model: str) -> None:
    assert book(base_url).price("mine", model) is None


def test_a_provider_is_known_by_its_address_its_name_or_its_id() -> None:
    for known in (
        book("https://api.openai.com/v1"),
        book("https://proxy.example/v1", mine="openai"),
    ):
        assert known.price("mine", "gpt-4o") is not None
    assert book("https://proxy.example/v1", name="openai").price("openai", "gpt-4o") is not None
    assert book("https://proxy.example/v1", name="openai-like").price("openai-like", "gpt-4o") is None
    assert book().price("other", "gpt-4o") is None


def test_what_is_not_sold_by_the_token_has_no_known_price() -> None:
    assert book("https://api.groq.com/openai/v1").price("mine", "whisper-large-v3") is None


def test_free_models_are_free() -> None:
    free = next(
        m.id for p in get_snapshot().providers if p.id == "openrouter" for m in p.models if m.id.endswith(":free")
    )
    price = book("https://openrouter.ai/api/v1").price("mine", free)

    assert price is not None
    assert price.cost(Usage(1000, 1000)) == ZERO


def test_prices_that_change_with_time_follow_the_clock() -> None:
    clock = FakeClock(NOW)
    anywhere = GenaiPriceBook({p.id: "http://localhost" for p in get_snapshot().providers}, clock)
    changing = [
        (provider.id, model.id, condition.constraint.start_date)
        for provider in get_snapshot().providers
        for model in provider.models
        if isinstance(model.prices, list)
        for condition in model.prices
        if isinstance(condition.constraint, genai_prices.types.StartDateConstraint)
        and {"input_mtok", "output_mtok"} <= vars(condition.prices).keys()
    ]
    changed = 0
    for provider, model, day in changing:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        clock.advance((start - clock.now()).total_seconds() - 1)
        before = anywhere.price(provider, model)
        clock.advance(1)
        changed += before != anywhere.price(provider, model)
    assert changed > 50


def test_a_price_is_looked_up_once() -> None:
    catalogue = book()

    assert catalogue.price("mine", "gpt-4o") is catalogue.price("mine", "gpt-4o")


def test_invented_names_do_not_fill_the_memory() -> None:
    catalogue = GenaiPriceBook({}, FakeClock(NOW))
    for number in range(MOST_REMEMBERED + 10):
        catalogue.price("nobody", f"model-{number}")

    assert len(catalogue._models) == MOST_REMEMBERED


def test_context_windows_are_those_of_the_catalogue() -> None:
    windows = {
        model.id: model.context_window
        for provider in get_snapshot().providers
        if provider.id == "openai"
        for model in provider.models
        if model.context_window
    }
    assert len(windows) > 10
    assert {model: book().context_window("mine", model) for model in windows} == windows
    assert book().context_window("mine", "nobody-knows-it") is None
    assert book("http://localhost/v1").context_window("mine", "gpt-4o") is None
