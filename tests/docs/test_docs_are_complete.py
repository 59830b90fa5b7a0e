"""Every setting, endpoint, error code, header, command, event and metric is in its list, and nothing else is."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from pages import ROOT, named, rows, section
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from send2llm.domain import errors
from send2llm.domain.conversation_events import InterruptionReason
from send2llm.domain.errors import Send2LLMError
from send2llm.infrastructure.analysis import schemas
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.formats.installed import installed_formats
from send2llm.infrastructure.handlers import fit_context, normalise, redact, validate
from send2llm.infrastructure.handlers.redaction.detectors import DETECTORS
from send2llm.infrastructure.prices.genai import has_prices
from send2llm.infrastructure.providers.presets import PRESETS
from send2llm.infrastructure.telemetry.metrics import Metrics
from send2llm.interfaces.cli.app import COMMANDS
from send2llm.interfaces.http.app import add_routes
from send2llm.interfaces.http.errors import ErrorView
from send2llm.settings import Settings

CONFIGURATION = ROOT / "docs" / "configuration.md"
HTTP = ROOT / "docs" / "http.md"
PROVIDERS = ROOT / "docs" / "providers.md"
EVENTS = ROOT / "docs" / "events.md"
HANDLERS = ROOT / "docs" / "handlers.md"
ANALYSIS = ROOT / "docs" / "analysis.md"
OPERATIONS = ROOT / "docs" / "operations.md"

TABLES = {"providers": "<name>", "prices": "<provider/model>"}
"""Settings that are tables with names of the user's choice."""

LISTED_IN_WORDS = {"routes"}

NEVER_SHOWN = {"error", "configuration_error", "conflict", "provider_error", "provider_transient_error"}
"""Codes of classes that only group others, and of what ends the process at start."""

OF_NO_CLASS = {"not_found": "404", "method_not_allowed": "405", "http_error": "4xx", "internal_error": "500"}

AMONG_PROCESSES = re.compile("allowances?_|carry_over_|hold_")
"""Codes by which processes tell each other that somebody was quicker; no caller ever sees them."""

EVENT_TYPES = list(EventRegistry.default())


def _settings(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, str]]:
    """Each setting with its default, as the page shows it."""
    for name, field in model.model_fields.items():
        section_model = _model_of(field)
        if name in LISTED_IN_WORDS:
            continue
        if section_model is None:
            yield place + name, _shown(field)
        else:
            yield from _settings(section_model, f"{place}{name}." + (f"{TABLES[name]}." if name in TABLES else ""))


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _shown(field: FieldInfo) -> str:
    default: Any = field.default
    if default is PydanticUndefined:
        return "required"
    match default:
        case None:
            return "unset"
        case bool():
            return f"`{str(default).lower()}`"
        case str():
            return f'`"{default}"`'
        case int() | float() | Decimal():
            return f"`{default:.10g}`"
        case tuple() | frozenset():
            return f"`{json.dumps(list(default))}`"
    assert default == {}
    return "`{}`"


def test_every_setting_is_listed_with_its_default() -> None:
    listed = {row[0].strip("`"): row[1] for row in rows(CONFIGURATION.read_text("utf-8")) if len(row) == 3}
    for name in [name for name in listed if name.startswith("SEND2LLM_")] + ["setting", "variable"]:
        del listed[name]
    assert listed == dict(_settings(Settings))


HANDLER_OPTIONS = {
    "validate": validate.Options,
    "normalise": normalise.Options,
    "redact": redact.Options,
    "fit_context": fit_context.Options,
}


@pytest.mark.parametrize("handler", HANDLER_OPTIONS)
def test_every_option_of_a_handler_is_listed_with_its_default(handler: str) -> None:
    listed = {row[0].strip("`"): row[1] for row in rows(section(HANDLERS, f"`{handler}`")) if len(row) == 3}
    del listed["option"]
    options = HANDLER_OPTIONS[handler].model_fields
    assert listed.keys() == options.keys()
    for name, shown in listed.items():
        assert shown in (_shown(options[name]), "all"), name


def test_every_handler_has_a_section() -> None:
    headings = re.findall(r"^## `(\w+)`$", HANDLERS.read_text("utf-8"), re.MULTILINE)
    own = [point.name for point in entry_points(group="send2llm.handlers") if point.value.startswith("send2llm.")]
    assert sorted(headings) == sorted(own)


def test_every_kind_of_personal_data_is_listed() -> None:
    listed = {row[0].strip("`") for row in rows(section(HANDLERS, "`redact`")) if len(row) == 2}
    assert listed - {"kind"} == set(DETECTORS)


def test_every_known_provider_is_listed() -> None:
    listed = {named(row[0])[0]: row for row in rows(section(PROVIDERS, "Known providers"))[1:]}
    assert list(listed) == list(PRESETS)
    for name, preset in PRESETS.items():
        _, format_, key, address, prices, beginnings = listed[name]
        assert preset.documentation in listed[name][0]
        assert (named(format_), named(address)) == ([preset.format], [preset.base_url] if preset.base_url else [])
        assert named(key) == ([preset.key_variable] if preset.key_variable else [])
        assert key.endswith("*") == (not preset.automatic)
        in_catalogue = has_prices(name, preset.base_url, preset.price_provider)
        assert prices == ("free" if preset.free else "catalogue" if in_catalogue else "yours")
        assert tuple(named(beginnings)) == preset.models_begin_with


def test_every_format_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = [named(row[0])[0] for row in rows(section(PROVIDERS, "Formats"))[1:]]
    assert sorted(listed) == sorted(project["entry-points"]["send2llm.providers"])


def test_every_format_has_a_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    shared = {"openai-responses": "openai", "vertex": "gemini"}
    pages = {page.stem for page in (ROOT / "docs" / "providers").glob("*.md")}
    assert pages == {shared.get(name, name) for name in project["entry-points"]["send2llm.providers"]} | {
        "openai-compatible"
    }


def test_every_endpoint_is_listed() -> None:
    app = FastAPI()
    add_routes(app, installed_formats())
    offered = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    assert {row[0].strip("`") for row in rows(section(HTTP, "Endpoints"))[1:]} == offered


def _error_codes() -> Iterator[tuple[str, str]]:
    for kind in _subclasses(Send2LLMError):
        if kind.__module__ in (errors.__name__, ErrorView.__module__) and kind.code not in NEVER_SHOWN:
            if AMONG_PROCESSES.match(kind.code):
                continue
            # Made without its constructor: what is shown of it is decided by its class.
            yield kind.code, str(ErrorView.of(kind.__new__(kind)).status)


def _subclasses(kind: type[Send2LLMError]) -> Iterator[type[Send2LLMError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def test_every_error_code_is_listed_with_its_status() -> None:
    listed = {row[0].strip("`"): row[1] for row in rows(section(HTTP, "Errors"))[1:]}
    assert listed == dict(_error_codes()) | OF_NO_CLASS


def test_every_command_has_a_section() -> None:
    headings = re.findall(r"^## `send2llm ([a-z]+)`$", (ROOT / "docs" / "cli.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)


def test_every_event_is_listed() -> None:
    headings = re.findall(r"^## `([\w.]+)`$", EVENTS.read_text("utf-8"), re.MULTILINE)
    assert headings == [event_type.topic for event_type in EVENT_TYPES]


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.topic)
def test_every_field_of_an_event_is_listed(event_type: Any) -> None:
    text = section(EVENTS, f"`{event_type.topic}`")
    assert [row[0].strip("`") for row in rows(text)[1:]] == [field.name for field in fields(event_type.event_class)]
    assert f"Schema version {event_type.version}." in text


def test_every_reason_of_an_interruption_is_listed() -> None:
    table = rows(section(EVENTS, "`conversation.completion_interrupted`"))
    (meaning,) = [row[1] for row in table if row[0] == "`reason`"]
    assert set(named(meaning)) == set(get_args(InterruptionReason))


@pytest.mark.parametrize("kind", ["events", "calls"])
def test_every_column_of_an_export_is_listed(kind: str) -> None:
    schema = {"events": schemas.EVENTS, "calls": schemas.CALLS}[kind]
    listed = [name for row in rows(section(ANALYSIS, f"`{kind}`"))[1:] for name in named(row[0])]
    assert sorted(listed) == sorted(schema.names)


def test_every_metric_is_listed_with_its_type() -> None:
    page = Metrics(version="1", known_models=[]).render()[0].decode()
    found = dict(re.findall(r"^# TYPE ((?:send2llm|gen_ai)_\w+) (\w+)$", page, re.MULTILINE))
    listed = {named(row[0])[0]: row[1] for row in rows(section(OPERATIONS, "Metrics"))[1:]}
    assert listed == found
