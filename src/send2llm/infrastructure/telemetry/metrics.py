"""Prometheus metrics: how calls, requests and projections are counted.

Money here is for charts and alerts only: Prometheus knows nothing but binary floating point. The ledger, that
is the events with their exact costs, is the truth.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from math import nan
from typing import Final

from prometheus_client import Counter

from send2llm.application.ports import AttemptReport, CallReport
from send2llm.application.projections import ProjectionStatus
from send2llm.infrastructure.telemetry import multiprocess, semantic_conventions as conventions
from send2llm.infrastructure.telemetry.bounded_values import BoundedValues
from send2llm.infrastructure.telemetry.call_series import CallSeries
from send2llm.infrastructure.telemetry.exposition import exposition, scraped_registry
from send2llm.infrastructure.telemetry.instruments import Instruments

OTHER_MODEL: Final = "other"
"""The label of the models that have none of their own."""

OTHER_SCOPE: Final = "other"
"""The label of the budget scopes that have none of their own."""

UNMATCHED_ROUTE: Final = "unmatched"
"""The route of requests that match none."""

MODEL_LIMIT: Final = 200
"""How many models beyond the known ones get a label of their own, in each process."""

_ERROR_LIMIT = 100  # the error tree has about thirty codes; more would be somebody's mistake
_ROUTE_LIMIT = 200
_SCOPE_LIMIT = 200
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Metrics:
    """All metrics of this process; of all workers together, where there are several (see ``multiprocess``).

    Labels are bounded. The models in ``known_models``, pairs of provider and model, have labels of their own.
    Another model gets one when it has answered, so that misspelt names never do, and while there are fewer
    than ``model_limit`` such models. The rest goes by the name ``other``.
    """

    def __init__(
        self, *, version: str, known_models: Iterable[tuple[str, str]] = (), model_limit: int = MODEL_LIMIT
    ) -> None:
        shared = multiprocess.shared_directory()
        if shared is not None:
            multiprocess.hold(shared)
        self._registry = scraped_registry(version, shared)
        self._instruments = Instruments(self._registry if shared is None else None)
        self._known_models = frozenset(known_models)
        self._unknown_models_left = model_limit
        self._errors = BoundedValues(_ERROR_LIMIT, conventions.OTHER_ERROR)
        self._routes = BoundedValues(_ROUTE_LIMIT, UNMATCHED_ROUTE)
        self._scopes = BoundedValues(_SCOPE_LIMIT, OTHER_SCOPE)
        self._series: dict[tuple[str, str], CallSeries] = {}
        self._overhead = {
            False: self._instruments.overhead.labels("false"),
            True: self._instruments.overhead.labels("true"),
        }
        self._calls: dict[tuple[str, str | None], Counter] = {}
        self._requests: dict[tuple[str, str, int], Counter] = {}

    def call_ended(self, report: CallReport) -> None:
        """Count a call; of a ``replayed`` one not tokens and cost, which were counted the first time."""
        self._calls_that(report.outcome, report.error).inc()
        if report.outcome != "replayed":
            self._series_of(report.provider, report.model, answered=report.outcome == "received").record(report)
        if report.attempts <= 1:  # the waits between attempts are no work of the gateway's
            self._overhead[report.streaming].observe(max(0.0, report.duration - report.upstream))

    def attempt_failed(self, report: AttemptReport) -> None:
        """Count a failed attempt at a provider."""
        provider = conventions.provider_name(report.provider)
        self._instruments.attempt_failures.labels(provider, self._errors.value(report.error)).inc()

    def call_in_flight(self) -> AbstractContextManager[object]:
        """Counts one call more in flight, for as long as the context is open."""
        return self._instruments.calls_in_flight.track_inprogress()

    def request_ended(self, method: str, route: str | None, status: int) -> None:
        """Count an HTTP request by its route's template (``/api/conversations/{id}``; ``None``: no route)."""
        key = (method, route or UNMATCHED_ROUTE, status)
        counter = self._requests.get(key)
        if counter is None:
            bounded = (self._routes.value(key[1]), method if method in _METHODS else conventions.OTHER_ERROR)
            counter = self._instruments.http_requests.labels(*bounded, str(status))
            if bounded == (key[1], method):
                self._requests[key] = counter
        counter.inc()

    def budget_refused(self, scope: str) -> None:
        """Count a call that a budget had not enough left for."""
        self._instruments.budget_refusals.labels(self._scopes.value(scope)).inc()

    def budget_overrun(self, amount_usd: float) -> None:
        """Count what a provider billed beyond the most that a call could cost."""
        self._instruments.budget_overruns.inc(amount_usd)

    def allowance_lapsed(self) -> None:
        """Count an allowance that was taken back."""
        self._instruments.budget_lapses.inc()

    def projection_stands(self, status: ProjectionStatus) -> None:
        """Show how a projection stands."""
        labels = (status.name, str(status.version))
        instruments = self._instruments
        instruments.projection_position.labels(*labels).set(status.position)
        instruments.projection_lag_events.labels(*labels).set(status.lag_events)
        instruments.projection_lag_seconds.labels(*labels).set(
            nan if status.lag_seconds is None else status.lag_seconds
        )
        instruments.projection_failed.labels(*labels).set(status.state == "failed")

    def append_queue_depth(self, depth: int) -> None:
        """Show how many appends wait in this process."""
        self._instruments.append_queue_depth.set(depth)

    def render(self) -> tuple[bytes, str]:
        """All metrics of all workers, as Prometheus reads them, and the content type.

        Reads files when there are several workers: call it in a thread, not on the event loop.
        """
        return exposition(self._registry)

    def _calls_that(self, outcome: str, error: str | None) -> Counter:
        counter = self._calls.get((outcome, error))
        if counter is None:
            bounded = self._errors.value(error) if error else ""
            counter = self._instruments.calls.labels(outcome, bounded)
            if bounded == (error or ""):
                self._calls[outcome, error] = counter
        return counter

    def _series_of(self, provider: str, model: str, *, answered: bool) -> CallSeries:
        series = self._series.get((provider, model))
        if series is None:
            label = self._model_label(provider, model, answered=answered)
            series = self._series.get((provider, label))
            if series is None:
                series = CallSeries(self._instruments, self._errors, provider, label)
                self._series[provider, label] = series
        return series

    def _model_label(self, provider: str, model: str, *, answered: bool) -> str:
        if (provider, model) in self._known_models:
            return model
        if not answered or self._unknown_models_left <= 0:
            return OTHER_MODEL
        self._unknown_models_left -= 1
        return model
