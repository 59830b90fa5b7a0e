"""What is measured: every instrument with its name, its labels and its bounds."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from send2llm.infrastructure.telemetry import semantic_conventions as conventions

_CALL = (conventions.OPERATION_NAME, conventions.PROVIDER_NAME, conventions.REQUEST_MODEL)
_TOKENS = (*_CALL, conventions.TOKEN_MODALITY)

OVERHEAD_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Seconds. The gateway's own time is a few milliseconds; the conventions' bounds begin at ten."""


class Instruments:
    """All instruments, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        # A time of creation beside each series doubles their number in the text format, and no query uses it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self._calls()
        self._usage()
        self._budgets()
        self._service()

    def _calls(self) -> None:
        self.duration = Histogram(
            conventions.OPERATION_DURATION,
            "Duration of a call, from its beginning to its end, retries included.",
            (*_CALL, conventions.ERROR_TYPE),
            buckets=conventions.SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.time_to_first_chunk = Histogram(
            conventions.TIME_TO_FIRST_CHUNK,
            "Time from the beginning of a streamed call to the first piece of its answer.",
            _CALL,
            buckets=conventions.SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.overhead = Histogram(
            "send2llm_overhead_seconds",
            "The gateway's own time in a call of one attempt: all but the wait for the provider.",
            ("streaming",),
            buckets=OVERHEAD_BUCKETS,
            registry=self.registry,
        )
        self.calls = Counter(
            "send2llm_calls",
            "Calls that have ended; error_type is empty for those that went well.",
            ("outcome", conventions.ERROR_TYPE),
            registry=self.registry,
        )
        self.attempt_failures = Counter(
            "send2llm_attempt_failures",
            "Attempts at a provider that failed, whatever became of their calls.",
            (conventions.PROVIDER_NAME, conventions.ERROR_TYPE),
            registry=self.registry,
        )
        self.calls_in_flight = Gauge(
            "send2llm_calls_in_flight",
            "Calls that are being answered now.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )

    def _usage(self) -> None:
        self.token_usage = Histogram(
            conventions.TOKEN_USAGE,
            "Tokens of a call. For distributions; totals are in gen_ai_client_inference_usage_*.",
            (*_CALL, conventions.TOKEN_TYPE),
            buckets=conventions.TOKENS_BUCKETS,
            registry=self.registry,
        )
        self.input_tokens = self._tokens(conventions.INPUT_TOKENS, "Billable input tokens, cached ones included.")
        self.output_tokens = self._tokens(
            conventions.OUTPUT_TOKENS, "Billable output tokens, those of reasoning included."
        )
        self.cache_read_input_tokens = self._tokens(
            conventions.CACHE_READ_INPUT_TOKENS,
            "The part of the input tokens that came from the provider's cache.",
        )
        self.cache_write_input_tokens = self._tokens(
            conventions.CACHE_WRITE_INPUT_TOKENS,
            "The part of the input tokens that went into the provider's cache.",
        )
        self.reasoning_output_tokens = self._tokens(
            conventions.REASONING_OUTPUT_TOKENS, "The part of the output tokens that was spent on reasoning."
        )
        self.cost = Counter(
            "send2llm_cost_usd",
            "Cost of calls in US dollars, for charts and alerts. The exact sums are in the events.",
            (conventions.PROVIDER_NAME, conventions.REQUEST_MODEL),
            registry=self.registry,
        )

    def _budgets(self) -> None:
        self.budget_refusals = Counter(
            "send2llm_budget_refusals",
            "Calls that a budget had not enough left for, by the budget's scope.",
            ("scope",),
            registry=self.registry,
        )
        self.budget_overruns = Counter(
            "send2llm_budget_overrun_usd",
            "What providers billed beyond the most that calls could cost, in US dollars: should stay at 0.",
            registry=self.registry,
        )
        self.budget_lapses = Counter(
            "send2llm_budget_allowances_lapsed",
            "Allowances that were taken back from processes that seemed to be gone.",
            registry=self.registry,
        )

    def _service(self) -> None:
        self.http_requests = Counter(
            "send2llm_http_requests",
            "HTTP requests that have been answered, by the template of their route.",
            (conventions.HTTP_ROUTE, conventions.HTTP_REQUEST_METHOD, conventions.HTTP_RESPONSE_STATUS_CODE),
            registry=self.registry,
        )
        self.append_queue_depth = Gauge(
            "send2llm_append_queue_depth",
            "Appends that wait for the event store's writers.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.projection_position = self._projection("position", "The last event that the projection has taken in.")
        self.projection_lag_events = self._projection("lag_events", "Events that the projection is behind the log.")
        self.projection_lag_seconds = self._projection(
            "lag_seconds",
            "Age of the first event that the projection has not taken in; NaN when it is not known.",
        )
        self.projection_failed = self._projection(
            "failed", "1 when the projection has stopped at an event that it fails on."
        )

    def _tokens(self, name: str, documentation: str) -> Counter:
        return Counter(name, documentation, _TOKENS, registry=self.registry)

    def _projection(self, name: str, documentation: str) -> Gauge:
        # Any worker may look after a projection, and another one after it: the latest to speak is right.
        return Gauge(
            f"send2llm_projection_{name}",
            documentation,
            ("projection", "version"),
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
