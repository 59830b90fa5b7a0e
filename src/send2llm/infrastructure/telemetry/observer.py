"""Watches the calls, and tells the log and the metrics."""

from contextlib import suppress

import structlog

from send2llm.application.ports import AttemptReport, CallReport
from send2llm.infrastructure.telemetry.metrics import Metrics

LOGGER = "send2llm.calls"
"""The component that these lines belong to, for levels and filters."""


class TelemetryObserver:
    """The ``Observer`` that logs and measures.

    One line for each call that has ended (``call_ended``) and for each failed attempt (``attempt_failed``). A
    call goes on whatever fails here: each kind of failure is told once, and otherwise passed over.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger(LOGGER)
        self._told: set[tuple[str, type[Exception]]] = set()

    def call_ended(self, report: CallReport) -> None:
        try:
            self._metrics.call_ended(report)
        except Exception as failure:  # noqa: BLE001 - an observer never breaks a call
            self._tell("metrics", failure)
        try:
            self._log_call(report)
        except Exception as failure:  # noqa: BLE001 - an observer never breaks a call
            self._tell("log", failure)

    def attempt_failed(self, report: AttemptReport) -> None:
        try:
            self._metrics.attempt_failed(report)
        except Exception as failure:  # noqa: BLE001 - an observer never breaks a call
            self._tell("metrics", failure)
        try:
            self._log_attempt(report)
        except Exception as failure:  # noqa: BLE001 - an observer never breaks a call
            self._tell("log", failure)

    def _log_call(self, report: CallReport) -> None:
        fields: dict[str, object] = {
            "correlation_id": report.correlation_id,
            "conversation_id": report.conversation_id,
            "completion_id": report.completion_id,
            "tenant": report.tenant,
            "requested_model": report.requested_model,
            "provider": report.provider,
            "model": report.model,
            "streaming": report.streaming,
            "outcome": report.outcome,
            "attempts": report.attempts,
            "seconds": report.duration,
            "upstream_seconds": round(report.upstream, 6),
        }
        if report.error is not None:
            fields["error"] = report.error
        if report.time_to_first_token is not None:
            fields["first_token_seconds"] = report.time_to_first_token
        if report.finish_reason is not None:
            fields["finish_reason"] = report.finish_reason
        if report.usage is not None:
            fields["input_tokens"] = report.usage.input_tokens
            fields["output_tokens"] = report.usage.output_tokens
            fields["usage_estimated"] = report.usage_estimated
        if report.cost_usd is not None:
            fields["cost_usd"] = format(report.cost_usd, "f")  # text keeps every digit
        worrying = report.outcome == "failed" or (
            report.outcome == "interrupted" and report.error != "client_disconnected"
        )
        (self._log.warning if worrying else self._log.info)("call_ended", **fields)

    def _log_attempt(self, report: AttemptReport) -> None:
        self._log.warning(
            "attempt_failed",
            correlation_id=report.correlation_id,
            provider=report.provider,
            model=report.model,
            attempt=report.attempt,
            error=report.error,
            retryable=report.retryable,
            status=report.status,
            seconds=report.duration,
            retry_in_seconds=report.retry_in,
        )

    def _tell(self, part: str, failure: Exception) -> None:
        kind = (part, type(failure))
        if kind not in self._told:
            self._told.add(kind)
            with suppress(Exception):  # when the log itself is what fails, there is nowhere left to tell it
                self._log.error("observer_failed", part=part, hint="told once; calls go on", exc_info=failure)
