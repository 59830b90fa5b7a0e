"""Providers that are known by name: where they are, who gets their key, and what they cost."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from send2llm.bootstrap.prices import price_book
from send2llm.bootstrap.providers import provider_config
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.presets import PRESETS, usual_variables
from send2llm.infrastructure.system import SystemClock
from send2llm.settings import ProviderSettings, Settings, load_settings

KEY = "sk-0123456789abcdef"
WITH_ADDRESS = {name: preset for name, preset in PRESETS.items() if preset.base_url}
AUTOMATIC = {name: preset for name, preset in WITH_ADDRESS.items() if preset.automatic and preset.key_variable}

KNOWN_MODELS = {
    "openai": "gpt-5-mini",
    "anthropic": "claude-opus-4-8",
    "perplexity": "perplexity/kimi-k3",
    "azure": "gpt-5-mini",
    "mistral": "mistral-large-2512",
    "gemini": "gemini-2.5-pro",
    "cohere": "command-a",
    "groq": "openai/gpt-oss-120b",
    "deepseek": "deepseek-v4-pro",
    "xai": "grok-4.6",
    "openrouter": "openai/gpt-5-mini",
    "together": "zai-org/GLM-5.3",
    "fireworks": "accounts/fireworks/models/deepseek-v3p2",
    "cerebras": "gpt-oss-120b",
    "moonshot": "kimi-k3",
    "zai": "glm-5.3",
    "zhipu": "glm-5.3",
    "minimax": "MiniMax-M2.7",
    "novita": "zai-org/glm-5.3",
    "ovhcloud": "gpt-oss-120b",
    "baseten": "zai-org/GLM-5.3",
    "databricks": "databricks-kimi-k3",
}
"""A model of each provider that the price catalogue knows; the other providers' prices are for the operator to set."""

ADDRESSES = {
    "azure": "https://name.openai.azure.com",
    "databricks": "https://name.cloud.databricks.com/serving-endpoints",
}


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SEND2LLM_") or name in usual_variables()]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(toml: str = "") -> Settings:
    Path("send2llm.toml").write_text(toml)
    return load_settings()


def key_of(provider: ProviderSettings) -> str | None:
    return None if provider.api_key is None else provider.api_key.get_secret_value()


# Who is there


@pytest.mark.parametrize("name", AUTOMATIC)
def test_a_provider_whose_usual_variable_is_set_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = AUTOMATIC[name]
    monkeypatch.setenv(str(preset.key_variable), KEY)

    provider = load_settings().providers[name]

    assert (provider.format, provider.base_url, key_of(provider)) == (preset.format, preset.base_url, KEY)
    assert (provider.models_begin_with, provider.free) == (preset.models_begin_with, preset.free)


@pytest.mark.parametrize("name", [name for name, one in PRESETS.items() if one.key_variable and not one.automatic])
def test_a_variable_that_is_set_for_other_purposes_makes_no_provider(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(str(PRESETS[name].key_variable), KEY)

    assert name not in load_settings().providers


@pytest.mark.parametrize("name", WITH_ADDRESS)
def test_an_empty_table_is_enough(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = WITH_ADDRESS[name]
    if preset.key_variable:
        monkeypatch.setenv(preset.key_variable, KEY)

    provider = load(f"[providers.{name}]").providers[name]

    assert provider.base_url == preset.base_url
    assert key_of(provider) == (KEY if preset.key_variable else None)


def test_a_provider_may_have_another_name_than_its_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)

    provider = load('[providers.fast]\npreset = "groq"\nmodels = ["openai/gpt-oss-20b"]').providers["fast"]

    assert (provider.base_url, provider.models) == ("https://api.groq.com/openai/v1", ("openai/gpt-oss-20b",))
    assert key_of(provider) == KEY


def test_a_variable_of_the_service_fills_in_a_known_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEND2LLM_PROVIDERS__GROQ__API_KEY", KEY)

    provider = load_settings().providers["groq"]

    assert (provider.base_url, key_of(provider)) == ("https://api.groq.com/openai/v1", KEY)


def test_options_of_the_operator_go_before_those_that_are_known() -> None:
    provider = load("[providers.xai]\noptions = {stream_usage = false}").providers["xai"]

    assert provider.options == {"output_limit": "max_completion_tokens", "stream_usage": False}
    assert load('[providers.xai]\noptions = {output_limit = "max_tokens"}').providers["xai"].options == {
        "output_limit": "max_tokens"
    }


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[providers.fast]\npreset = "grok"', "there is no preset 'grok'. Did you mean groq?"),
        ('[providers.fast]\npreset = "qqqq"', "there is no preset 'qqqq'. Known: "),
        ("[providers.databricks]", "it needs a base_url"),
    ],
)
def test_what_is_not_known_is_refused(toml: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(toml)
    assert said in str(refused.value)


# Who gets the key


class TestAKeyIsShownToItsProviderOnly:
    @pytest.fixture(autouse=True)
    def a_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GROQ_API_KEY", KEY)

    def test_not_to_another_address_under_its_name(self) -> None:
        provider = load('[providers.groq]\nbase_url = "https://elsewhere.example/v1"').providers["groq"]

        assert key_of(provider) is None

    def test_not_to_another_address_under_its_preset(self) -> None:
        provider = load('[providers.a]\npreset = "groq"\nbase_url = "https://elsewhere.example/v1"').providers["a"]

        assert key_of(provider) is None

    def test_not_to_an_address_that_came_by_a_variable_of_the_service(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEND2LLM_PROVIDERS__GROQ__BASE_URL", "https://elsewhere.example/v1")

        provider = load_settings().providers["groq"]

        assert (provider.base_url, key_of(provider)) == ("https://elsewhere.example/v1", None)

    def test_to_its_own_address_however_it_is_spelt(self) -> None:
        table = '[providers.a]\npreset = "groq"\nbase_url = "https://api.groq.com/openai/v1/"'

        assert key_of(load(table).providers["a"]) == KEY

    def test_to_an_address_that_the_key_was_given_for(self) -> None:
        table = '[providers.a]\npreset = "groq"\nbase_url = "https://elsewhere.example/v1"\n'

        assert key_of(load(table + 'api_key = "env:GROQ_API_KEY"').providers["a"]) == KEY

    def test_to_the_address_in_the_usual_variable_beside_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GROQ_BASE_URL", "https://proxy.example/v1/")

        provider = load_settings().providers["groq"]

        assert (provider.base_url, key_of(provider)) == ("https://proxy.example/v1", KEY)

    def test_to_the_one_address_of_a_provider_that_has_none_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABRICKS_TOKEN", KEY)

        provider = load('[providers.databricks]\nbase_url = "https://a.cloud.databricks.com/serving-endpoints"')

        assert key_of(provider.providers["databricks"]) == KEY


# What is known of them


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_known_is_complete(name: str) -> None:
    preset = PRESETS[name]
    documentation = urlsplit(preset.documentation)

    assert name.isalnum()
    assert name.islower()
    assert (documentation.scheme, bool(documentation.netloc)) == ("https", True)
    if preset.base_url:
        address = urlsplit(preset.base_url)
        assert address.scheme == ("http" if address.hostname == "127.0.0.1" else "https")
        assert not preset.base_url.endswith("/")
        assert preset.free == (address.hostname == "127.0.0.1")


@pytest.mark.parametrize("name", WITH_ADDRESS)
async def test_every_one_can_be_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if key_variable := WITH_ADDRESS[name].key_variable:
        monkeypatch.setenv(key_variable, KEY)
    settings = load(f"[providers.{name}]")
    config = provider_config(name, settings.providers[name], settings)

    provider = make_provider(settings.providers[name].format, config)

    assert provider.name == name
    await provider.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", KNOWN_MODELS)
def test_the_price_of_a_known_model_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = "" if PRESETS[name].base_url else f'\nbase_url = "{ADDRESSES[name]}"'
    settings = load(f"[providers.{name}]{host}\n[providers.other]\npreset = '{name}'{host}")
    book = price_book(settings, SystemClock())

    price = book.price(name, KNOWN_MODELS[name])

    assert price is not None
    assert price.input.usd > 0
    assert book.price("other", KNOWN_MODELS[name]) == price
