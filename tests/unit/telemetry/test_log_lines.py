"""What log lines look like, and where they come from."""

import io
import logging
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from log_output import LogOutput

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.telemetry.logging import configure_logging


def test_a_line_has_time_level_component_and_context(logs: LogOutput) -> None:
    structlog.contextvars.bind_contextvars(correlation_id=UUID(int=7))

    structlog.get_logger("send2llm.calls").info("conversation_closed", conversation_id=UUID(int=1), seconds=0.5)

    (line,) = logs.lines
    stamp = datetime.fromisoformat(line.pop("timestamp"))
    assert stamp.tzinfo == UTC
    assert line == {
        "event": "conversation_closed",
        "level": "info",
        "logger": "send2llm.calls",
        "correlation_id": str(UUID(int=7)),
        "conversation_id": str(UUID(int=1)),
        "seconds": 0.5,
    }


def test_the_records_of_libraries_take_the_same_way(logs: LogOutput) -> None:
    structlog.contextvars.bind_contextvars(correlation_id=UUID(int=7))
    server = logging.getLogger("uvicorn.error")

    server.warning("%s connections", 3, extra={"color_message": "\x1b[1m3", "host": "127.0.0.1"})

    (line,) = logs.lines
    line.pop("timestamp")
    assert line == {
        "event": "3 connections",
        "level": "warning",
        "logger": "uvicorn.error",
        "correlation_id": str(UUID(int=7)),
        "host": "127.0.0.1",
    }


def test_libraries_that_set_up_their_own_handlers_are_told_once(logs: LogOutput) -> None:
    server = logging.getLogger("uvicorn")
    server.addHandler(logging.StreamHandler(io.StringIO()))
    server.propagate = False
    server.setLevel(logging.CRITICAL)

    logs.configure()
    server.info("started")

    assert [line["event"] for line in logs.lines] == ["started"]
    assert not server.handlers


def test_warnings_become_lines(logs: LogOutput) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure()
        warnings.warn("mind the gap", UserWarning, stacklevel=1)
        logging.captureWarnings(False)

    (line,) = logs.lines
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "mind the gap" in line["event"]


@pytest.mark.parametrize("library", [False, True], ids=["ours", "library"])
def test_each_component_has_its_own_level(logs: LogOutput, library: bool) -> None:
    logs.configure("warning", {"send2llm.calls": "debug", "send2llm": "info", "send2llm.calls.quiet": "error"})
    names = [
        "other",
        "send2llm",
        "send2llm.callsign",
        "send2llm.calls",
        "send2llm.calls.a.b",
        "send2llm.calls.quiet.x",
    ]

    for name in names:
        logger = logging.getLogger(name) if library else structlog.get_logger(name)
        for level in ("debug", "info", "warning", "error"):
            getattr(logger, level)(level)

    told = {name: [line["level"] for line in logs.lines if line["logger"] == name] for name in names}
    everything = ["debug", "info", "warning", "error"]
    assert told == {
        "other": everything[2:],
        "send2llm": everything[1:],
        "send2llm.callsign": everything[1:],
        "send2llm.calls": everything,
        "send2llm.calls.a.b": everything,
        "send2llm.calls.quiet.x": everything[3:],
    }


def test_what_libraries_tell_at_debug_has_to_be_asked_for(logs: LogOutput) -> None:
    for levels in ({}, {"openai": "debug"}):
        logs.configure("debug", levels)
        logging.getLogger("openai").debug("request with all its messages")
        structlog.get_logger("send2llm").debug("ours")

    assert [line["logger"] for line in logs.lines] == ["send2llm", "openai", "send2llm"]


def test_requests_are_not_told_by_libraries_unless_asked_for(logs: LogOutput) -> None:
    logging.getLogger("httpx2").info("HTTP Request")
    logs.configure("info", {"httpx2": "info"})
    logging.getLogger("httpx2").info("HTTP Request, asked for")

    assert [line["event"] for line in logs.lines] == ["HTTP Request, asked for"]


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'loud' for send2llm\.calls; choose one of debug, info"):
        configure_logging("info", True, {"send2llm.calls": "loud"}, stream=io.BytesIO())


def test_an_exception_is_data_and_shows_no_local_variables(logs: LogOutput) -> None:
    def fail() -> None:
        prompt = "what only the caller may know"
        raise ValueError(len(prompt))

    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError("the call failed") from error
    except RuntimeError:
        structlog.get_logger("x").exception("broken")
        logging.getLogger("x").exception("broken")

    for line in logs.lines:
        outer, inner = line["exception"]
        assert (outer["exc_type"], outer["exc_value"]) == ("RuntimeError", "the call failed")
        assert (inner["exc_type"], inner["is_cause"]) == ("ValueError", True)
        assert inner["frames"][-1]["name"] == "fail"
        assert "locals" not in inner["frames"][-1]
    assert b"what only the caller may know" not in logs.raw


def test_an_exception_group_is_told_with_its_members(logs: LogOutput) -> None:
    members = [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])]

    structlog.get_logger("x").error("broken", exc_info=ExceptionGroup("outer", members))

    (stack,) = logs.lines[0]["exception"]
    assert [member[0]["exc_value"] for member in stack["exceptions"]] == ["one", "inner (1 sub-exception)"]


def test_people_see_the_members_of_a_group_too(logs: LogOutput) -> None:
    logs.configure(json=False)

    structlog.get_logger("x").error("broken", exc_info=ExceptionGroup("outer", [ValueError("one")]))

    assert b"\nExceptionGroup: outer (1 sub-exception)\n  ValueError: one" in logs.raw


def test_what_libraries_quote_in_their_errors_is_cut_out_of_them(logs: LogOutput) -> None:
    error = ValueError("[parameters: ('my prompt',)]")
    error.add_note("[parameters: ('my prompt',)]")

    structlog.get_logger("x").error("broken", error=error, exc_info=error)

    assert b"my prompt" not in logs.raw


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@dataclass
class Prompt:
    words: str


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1.50"), "1.50"),
        (Path("/tmp/x"), "/tmp/x"),
        (b"secret bytes", "<12 bytes>"),
        (Prompt("who am I?"), f"<{__name__}.Prompt>"),
        (Unprintable(), f"<{__name__}.Unprintable>"),
        (UnprintableError(), "UnprintableError: (its message cannot be shown)"),
        (ValueError("too long"), "ValueError: too long"),
        ({(1, 2): {3}}, {"<builtins.tuple>": [3]}),
        (2**70, hex(2**70)),
        ("\ud800 alone", "\\ud800 alone"),
        (float("nan"), None),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
        (int, "<builtins.int>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_logged_the_line_is_json(logs: LogOutput, value: object, shown: object) -> None:
    structlog.get_logger("x").info("event", value=value)

    assert logs.lines[0]["value"] == shown


def test_what_contains_itself_is_cut_off(logs: LogOutput) -> None:
    structlog.get_logger("x").info("event", value=endless())

    assert b"too deep" in logs.raw
    assert len(logs.lines) == 1


def test_a_record_that_cannot_be_rendered_leaves_a_line_without_its_arguments(logs: LogOutput) -> None:
    logs.configure()  # anew, without pytest's own handler, which would raise

    logging.getLogger("some.library").info("%d", "what only the caller may know")

    (line,) = logs.lines
    assert line == {
        "event": "log_line_lost",
        "level": "error",
        "logger": "some.library",
        "error": "TypeError",
    }


def test_a_closed_stream_breaks_nobody(logs: LogOutput) -> None:
    logger = structlog.get_logger("x")
    logger.info("before")
    logs.stream.close()

    logger.info("after")
    logging.getLogger("x").info("after")


def test_people_get_text(logs: LogOutput) -> None:
    logs.configure(json=False)

    structlog.get_logger("send2llm.calls").info(
        "conversation_closed", conversation_id=UUID(int=1), words=Prompt("who?")
    )
    try:
        raise ValueError("too long")
    except ValueError:
        logging.getLogger("uvicorn").exception("broken")

    text = logs.raw.decode()
    assert f"conversation_id={UUID(int=1)}" in text
    assert "who?" not in text
    assert "ValueError: too long" in text
    assert "in test_people_get_text" in text
    assert "\x1b" not in text  # no colours: it is no terminal


def test_without_a_choice_a_pipe_gets_json(logs: LogOutput) -> None:
    configure_logging(stream=logs.stream)

    structlog.get_logger("x").info("event")

    assert logs.lines[0]["event"] == "event"
