"""The series of one model: looked up once, so that recording a call costs additions only."""

from functools import cached_property

from prometheus_client import Counter, Histogram

from send2llm.application.ports import CallReport
from send2llm.domain.completion import Usage
from send2llm.infrastructure.telemetry import semantic_conventions as conventions
from send2llm.infrastructure.telemetry.bounded_values import BoundedValues
from send2llm.infrastructure.telemetry.instruments import Instruments


class CallSeries:
    """Records the calls of one model of one provider."""

    def __init__(self, instruments: Instruments, errors: BoundedValues, provider: str, model: str) -> None:
        name = conventions.provider_name(provider)
        self._labels = (conventions.CHAT, name, model)
        self._instruments = instruments
        self._errors = errors
        self._durations: dict[str, Histogram] = {}
        self._input_sizes = instruments.token_usage.labels(*self._labels, "input")
        self._output_sizes = instruments.token_usage.labels(*self._labels, "output")
        self._input = self._tokens(instruments.input_tokens)
        self._output = self._tokens(instruments.output_tokens)
        self._cache_read = self._tokens(instruments.cache_read_input_tokens)
        self._cache_write = self._tokens(instruments.cache_write_input_tokens)
        self._reasoning = self._tokens(instruments.reasoning_output_tokens)
        self._cost = instruments.cost.labels(name, model)

    def record(self, report: CallReport) -> None:
        """Count a call that has ended."""
        self._duration(report.error or "").observe(report.duration)
        if report.time_to_first_token is not None:
            self._time_to_first_chunk.observe(report.time_to_first_token)
        if report.usage is not None:
            self._record_usage(report.usage)
        if report.cost_usd:
            self._cost.inc(float(report.cost_usd))

    def _record_usage(self, usage: Usage) -> None:
        self._input_sizes.observe(usage.input_tokens)
        self._output_sizes.observe(usage.output_tokens)
        self._input.inc(usage.input_tokens)
        self._output.inc(usage.output_tokens)
        if usage.cache_read_input_tokens:
            self._cache_read.inc(usage.cache_read_input_tokens)
        if usage.cache_write_input_tokens:
            self._cache_write.inc(usage.cache_write_input_tokens)
        if usage.reasoning_output_tokens:
            self._reasoning.inc(usage.reasoning_output_tokens)

    def _duration(self, error: str) -> Histogram:
        duration = self._durations.get(error)
        if duration is None:
            bounded = self._errors.value(error) if error else ""
            duration = self._instruments.duration.labels(*self._labels, bounded)
            if bounded == error:
                self._durations[error] = duration
        return duration

    @cached_property
    def _time_to_first_chunk(self) -> Histogram:
        return self._instruments.time_to_first_chunk.labels(*self._labels)

    def _tokens(self, counter: Counter) -> Counter:
        return counter.labels(*self._labels, conventions.UNKNOWN_MODALITY)
