"""What can be set, from where, and what is said of mistakes."""

import os
from decimal import Decimal
from pathlib import Path

import pytest

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.providers.presets import usual_variables
from send2llm.settings import Settings, load_settings

KEY = "sk-0123456789abcdef"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of the user's own counts."""
    for name in [name for name in os.environ if name.startswith("SEND2LLM_") or name in usual_variables()]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(toml: str = "") -> Settings:
    """The settings with this text in ``send2llm.toml``, where it is looked for."""
    Path("send2llm.toml").write_text(toml)
    return load_settings()


def complaint(toml: str = "") -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(toml)
    return str(refused.value)


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.workers, settings.api_key) == ("127.0.0.1", 8484, 1, None)
    assert settings.providers == {}


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEND2LLM_PORT", "9001")
    monkeypatch.setenv("SEND2LLM_TIMEOUTS__TOTAL", "7")
    monkeypatch.setenv("SEND2LLM_ROUTES", '{"fast": ["house/llama"]}')
    settings = load("port = 9000\nworkers = 3\n[timeouts]\ntotal = 5\nfirst_token = 6\n")
    assert (settings.port, settings.workers) == (9001, 3)
    assert (settings.timeouts.total, settings.timeouts.first_token, settings.timeouts.connect) == (7, 6, 5)
    assert settings.routes == {"fast": ("house/llama",)}


def test_the_file_may_be_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("port = 9002")
    assert load_settings(config=other).port == 9002
    monkeypatch.setenv("SEND2LLM_CONFIG", str(other))
    assert load("port = 9000").port == 9002
    other.unlink()
    assert str(other) in complaint()


def test_a_key_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    house = '[providers.house]\nbase_url = "http://127.0.0.1:1/v1"\napi_key = "env:HOUSE_KEY"\n'
    assert "HOUSE_KEY is not set" in complaint(house)
    monkeypatch.setenv("HOUSE_KEY", KEY)
    key = load(house).providers["house"].api_key
    assert key is not None
    assert key.get_secret_value() == KEY


class TestOpenAIsUsualVariables:
    def test_a_key_makes_a_provider(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        openai = load_settings().providers["openai"]
        assert (openai.base_url, openai.format) == ("https://api.openai.com/v1", "openai")
        assert openai.api_key is not None
        assert openai.api_key.get_secret_value() == KEY

    def test_an_address_makes_one_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        openai = load_settings().providers["openai"]
        assert (openai.base_url, openai.api_key) == ("http://127.0.0.1:1/v1", None)

    def test_others_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert list(load('[providers.house]\nbase_url = "http://127.0.0.1:1"').providers) == ["house", "openai"]

    def test_what_the_file_says_of_openai_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert load('[providers.openai]\nbase_url = "http://127.0.0.1:1"').providers["openai"].api_key is None


def test_secrets_are_known_and_not_shown() -> None:
    settings = load(
        f'api_key = "caller-{KEY}"\ndatabase_url = "postgresql://u:p@h/d"\n[providers.house]\n'
        f'base_url = "http://127.0.0.1:1"\napi_key = "{KEY}"\nheaders = {{x-token = "header-{KEY}", x-short = "1"}}\n'
    )
    assert settings.secrets == {f"caller-{KEY}", "postgresql://u:p@h/d", KEY, f"header-{KEY}"}
    shown = repr(settings.api_key) + repr(settings.database_url) + repr(settings.providers["house"].api_key)
    assert KEY not in shown
    assert "u:p" not in shown


def test_prices_are_what_was_written() -> None:
    price = load('[prices."house/llama"]\ninput = 0.1\noutput = 2\n').prices["house/llama"]
    assert (price.input, price.output, price.cache_read) == (Decimal("0.1"), Decimal(2), None)


@pytest.mark.parametrize(
    ("variable", "hint"),
    [("SEND2LLM_PROT", "SEND2LLM_PORT"), ("SEND2LLM_TIMEOUT__TOTAL", "SEND2LLM_TIMEOUTS")],
)
def test_a_misspelt_variable(monkeypatch: pytest.MonkeyPatch, variable: str, hint: str) -> None:
    monkeypatch.setenv(variable, "1")
    assert complaint() == f"{variable} is no setting. Did you mean {hint}?"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("prot = 1", "prot is no setting. Did you mean port?"),
        ("[timeouts]\ntotl = 1", "timeouts.totl is no setting. Did you mean total?"),
        (
            '[providers.a]\nbase_url = "http://h"\napikey = "x"',
            "providers.a.apikey is no setting. Did you mean api_key?",
        ),
        ("[providers.a]", "providers.a: it needs a base_url"),
        ('[providers.a]\nbase_url = "h"', "a base_url begins with http:// or https://"),
        ('[providers.a]\nbase_url = "http://h"\nformat = "fax"', "there is no provider format 'fax'"),
        ("[routes]\nfast = []", "the route fast needs at least one candidate"),
        ("port = 70000", "port: "),
        ("workers = 0", "workers: "),
        ("[timeouts]\ntotal = nan", "timeouts.total: "),
        ('[prices."a/b"]\ninput = -1\noutput = 1', "prices.a/b.input: "),
        ("[prices.large]\ninput = 1\noutput = 1", "'large' is no model: name it provider/model"),
        ('[prices."house/"]\ninput = 1\noutput = 1', "'house/' is no model: name it provider/model"),
        ("port = ", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file(toml: str, said: str) -> None:
    complained = complaint(toml)
    assert said in complained
    assert "send2llm.toml" in complained
