"""``send2llm providers`` where no service runs, or one without models."""

import json
from pathlib import Path

import pytest

from send2llm.infrastructure.providers.presets import PRESETS
from send2llm.testing.api import FakeApi

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_service_the_settings_are_shown(run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GROQ_API_KEY", "gsk-0123456789")
    Path("send2llm.toml").write_text('[providers.openai]\nmodels = ["gpt-4o", "gpt-9"]\n')

    result = run("providers", "--url", NOBODY)
    shown = json.loads(run("providers", "--json", "--url", NOBODY).output)["data"]

    assert result.exit_code == 0
    assert "No service runs" in result.errors
    assert "gpt-4o ($2.5/$10), gpt-9 (no known price)" in result.output
    assert [(one["name"], one["health"]["state"]) for one in shown] == [("openai", "unknown"), ("groq", "unknown")]
    assert shown[1]["base_url"] == "https://api.groq.com/openai/v1"
    assert "gsk-" not in result.output


def test_without_a_provider_the_way_to_one_is_shown(run):
    result = run("providers", "--url", NOBODY)

    assert (result.exit_code, result.output) == (0, "")
    assert "--presets" in result.errors


def test_known_providers_are_listed(run):
    lines = run("providers", "--presets", "--url", NOBODY).output.splitlines()
    known = json.loads(run("providers", "--presets", "--json", "--url", NOBODY).output)["data"]

    assert [line.split()[0] for line in lines[1:]] == [one["name"] for one in known] == list(PRESETS)
    groq = next(one for one in known if one["name"] == "groq")
    assert (groq["key_variable"], groq["automatic"]) == ("GROQ_API_KEY", True)


def test_a_check_needs_a_service(run):
    result = run("providers", "check", "--url", NOBODY)

    assert result.exit_code == 1
    assert "send2llm serve" in result.errors


def test_a_provider_without_models_cannot_be_checked_unasked(run, api: FakeApi):
    api.providers = [{"name": "echo", "models": []}]
    api.models = ("echo/text-embed-3",)

    unasked = run("providers", "check")
    asked = run("providers", "check", "echo/parrot")

    assert unasked.exit_code == asked.exit_code == 1
    assert "send2llm providers check echo/MODEL" in unasked.errors
    assert "There is no model 'echo/parrot' here." in asked.errors


def test_where_there_is_no_provider_there_is_nothing_to_check(run, api: FakeApi):
    api.providers = []

    result = run("providers", "check")

    assert result.exit_code == 1
    assert "No provider is configured" in result.errors


def test_a_check_asks_little(run, api: FakeApi):
    result = run("providers", "check", "--json")

    assert result.exit_code == 0
    (check,) = json.loads(result.output)["checks"]
    assert (check["provider"], check["model"], check["ok"]) == ("echo", "parrot", True)
    (body,) = [body for method, path, body in api.requests if path.endswith("/messages")]
    assert (body["max_output_tokens"], body["content"]) == (8, "Say OK.")
