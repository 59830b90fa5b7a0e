"""What the observer tells, and that it never breaks a call."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from log_output import LogOutput
from prometheus_client.parser import text_string_to_metric_families

from send2llm.application.ports import AttemptReport, CallReport, Observer
from send2llm.infrastructure.telemetry.metrics import Metrics
from send2llm.infrastructure.telemetry.observer import TelemetryObserver

MakeCall = Callable[..., CallReport]


class BrokenMetrics(Metrics):
    """Metrics whose disk is full."""

    def call_ended(self, report: CallReport) -> None:
        raise OSError("no space left")

    def attempt_failed(self, report: AttemptReport) -> None:
        raise OSError("no space left")


def observer(metrics: Metrics | None = None) -> Observer:
    return TelemetryObserver(metrics or Metrics(version="1"))


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    assert line.pop("timestamp")
    return line


def test_a_call_is_one_line(logs: LogOutput, call: MakeCall) -> None:
    observer().call_ended(call(streaming=True, time_to_first_token=0.3))

    (line,) = logs.lines
    assert without_time(line) == {
        "event": "call_ended",
        "level": "info",
        "logger": "send2llm.calls",
        "correlation_id": str(UUID(int=3)),
        "conversation_id": str(UUID(int=1)),
        "completion_id": str(UUID(int=2)),
        "tenant": "default",
        "requested_model": "mistral/small",
        "provider": "mistral",
        "model": "small",
        "streaming": True,
        "outcome": "received",
        "attempts": 1,
        "seconds": 0.5,
        "upstream_seconds": 0.498,
        "first_token_seconds": 0.3,
        "finish_reason": "stop",
        "input_tokens": 100,
        "output_tokens": 40,
        "usage_estimated": False,
        "cost_usd": "0.0000012",
    }


def test_what_somebody_should_look_at_is_a_warning(logs: LogOutput, call: MakeCall) -> None:
    for outcome, error in [
        ("failed", "provider_overloaded"),
        ("interrupted", "provider_stream_broken"),
        ("interrupted", "client_disconnected"),
        ("replayed", None),
    ]:
        observer().call_ended(call(outcome=outcome, error=error, usage=None, cost_usd=None))

    assert [line["level"] for line in logs.lines] == ["warning", "warning", "info", "info"]
    assert [line.get("error") for line in logs.lines][:3] == [
        "provider_overloaded",
        "provider_stream_broken",
        "client_disconnected",
    ]


def test_a_failed_attempt_is_a_warning(logs: LogOutput, attempt: AttemptReport) -> None:
    observer().attempt_failed(attempt)

    (line,) = logs.lines
    assert without_time(line) == {
        "event": "attempt_failed",
        "level": "warning",
        "logger": "send2llm.calls",
        "correlation_id": str(UUID(int=3)),
        "provider": "mistral",
        "model": "small",
        "attempt": 1,
        "error": "provider_overloaded",
        "retryable": True,
        "status": 503,
        "seconds": 0.1,
        "retry_in_seconds": 0.25,
    }


def test_calls_are_measured_also_when_their_lines_are_turned_off(logs: LogOutput, call: MakeCall) -> None:
    logs.configure("info", {"send2llm.calls": "error"})
    metrics = Metrics(version="1")

    observer(metrics).call_ended(call())

    assert logs.lines == []
    families = text_string_to_metric_families(metrics.render()[0].decode())
    assert [sample.value for family in families if family.name == "send2llm_calls" for sample in family.samples] == [1]


def test_broken_metrics_are_told_once_and_break_no_call(
    logs: LogOutput, call: MakeCall, attempt: AttemptReport
) -> None:
    watching = observer(BrokenMetrics(version="1"))

    for _ in range(3):
        watching.attempt_failed(attempt)
        watching.call_ended(call())

    events = [line["event"] for line in logs.lines]
    assert events.count("observer_failed") == 1
    assert events.count("call_ended") == 3
    assert events.count("attempt_failed") == 3


def test_a_log_that_is_gone_breaks_no_call(logs: LogOutput, call: MakeCall, attempt: AttemptReport) -> None:
    watching = observer()
    logs.stream.close()

    watching.attempt_failed(attempt)
    watching.call_ended(call())
