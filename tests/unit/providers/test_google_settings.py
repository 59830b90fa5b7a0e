"""Google's providers, as the environment and the configuration file name them."""

from pathlib import Path

import pytest

from send2llm.settings import load_settings


def test_a_key_in_the_environment_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-test-0123456789")

    provider = load_settings({"GEMINI_API_KEY": "AIza-test-0123456789"}).providers["gemini"]

    assert (provider.format, provider.price_provider) == ("gemini", "google")
    assert provider.base_url == "https://generativelanguage.googleapis.com/v1beta"
    assert provider.api_key
    assert provider.api_key.get_secret_value() == "AIza-test-0123456789"
    assert "gemini-" in provider.models_begin_with


def test_vertex_needs_no_address(tmp_path: Path) -> None:
    file = tmp_path / "send2llm.toml"
    file.write_text('[providers.vertex]\n[providers.vertex.options]\nproject = "acme-1"\n')

    provider = load_settings({}, file).providers["vertex"]

    assert (provider.format, provider.price_provider, provider.base_url) == ("vertex", "google", "")
    assert provider.options == {"project": "acme-1"}
