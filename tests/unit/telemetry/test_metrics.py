"""What is counted, under which names, as a scrape shows it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isnan
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from send2llm.application.ports import AttemptReport, CallReport
from send2llm.application.projections import ProjectionStatus
from send2llm.infrastructure.telemetry import semantic_conventions as conventions
from send2llm.infrastructure.telemetry.metrics import Metrics

MakeCall = Callable[..., CallReport]
Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

MODEL = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "mistral_ai",
    "gen_ai_request_model": "small",
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3")


def scrape(metrics: Metrics) -> Samples:
    body, _ = metrics.render()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: Any) -> float | None:
    return samples.get((name, frozenset((key, str(label)) for key, label in labels.items())))


def models(samples: Samples, name: str = "gen_ai_client_token_usage_count") -> set[str]:
    return {dict(labels)["gen_ai_request_model"] for sample, labels in samples if sample == name}


def test_an_answered_call_is_counted_in_the_conventions_names(metrics: Metrics, call: MakeCall) -> None:
    metrics.call_ended(call(streaming=True, time_to_first_token=0.3))

    samples = scrape(metrics)
    duration = "gen_ai_client_operation_duration_seconds"
    assert value(samples, f"{duration}_count", **MODEL, error_type="") == 1
    assert value(samples, f"{duration}_sum", **MODEL, error_type="") == 0.5
    assert value(samples, f"{duration}_bucket", **MODEL, error_type="", le="0.32") == 0
    assert value(samples, f"{duration}_bucket", **MODEL, error_type="", le="0.64") == 1
    assert value(samples, "gen_ai_client_operation_time_to_first_chunk_seconds_sum", **MODEL) == 0.3
    assert value(samples, "gen_ai_client_token_usage_sum", **MODEL, gen_ai_token_type="input") == 100
    assert value(samples, "gen_ai_client_token_usage_sum", **MODEL, gen_ai_token_type="output") == 40
    assert value(samples, "send2llm_calls_total", outcome="received", error_type="") == 1
    assert value(samples, "send2llm_overhead_seconds_count", streaming="true") == 1
    assert value(samples, "send2llm_overhead_seconds_sum", streaming="true") == pytest.approx(0.002)


def test_tokens_and_cost_add_up(metrics: Metrics, call: MakeCall) -> None:
    for _ in range(3):
        metrics.call_ended(call())

    samples = scrape(metrics)
    totals = {
        "input_tokens": 300,
        "output_tokens": 120,
        "cache_read_input_tokens": 180,
        "cache_write_input_tokens": 15,
        "reasoning_output_tokens": 90,
    }
    for name, total in totals.items():
        counter = f"gen_ai_client_inference_usage_{name}_total"
        assert value(samples, counter, **MODEL, gen_ai_token_modality="unknown") == total
    labels = {"gen_ai_provider_name": "mistral_ai", "gen_ai_request_model": "small"}
    assert value(samples, "send2llm_cost_usd_total", **labels) == pytest.approx(float(3 * Decimal("0.0000012")))


def test_a_failed_call_has_its_kind_of_error_and_no_tokens(metrics: Metrics, call: MakeCall) -> None:
    metrics.call_ended(call())
    metrics.call_ended(call(outcome="failed", error="provider_overloaded", usage=None, cost_usd=None, attempts=3))

    samples = scrape(metrics)
    failed = {**MODEL, "error_type": "provider_overloaded"}
    assert value(samples, "gen_ai_client_operation_duration_seconds_count", **failed) == 1
    assert value(samples, "send2llm_calls_total", outcome="failed", error_type="provider_overloaded") == 1
    assert value(samples, "gen_ai_client_token_usage_count", **MODEL, gen_ai_token_type="input") == 1


def test_waits_between_attempts_are_no_overhead(metrics: Metrics, call: MakeCall) -> None:
    metrics.call_ended(call(attempts=2, duration=20.0, upstream=0.1))

    assert value(scrape(metrics), "send2llm_overhead_seconds_count", streaming="false") == 0


def test_a_replayed_answer_is_not_paid_twice(metrics: Metrics, call: MakeCall) -> None:
    metrics.call_ended(call())
    metrics.call_ended(call(outcome="replayed", attempts=0, upstream=0.0))

    samples = scrape(metrics)
    assert value(samples, "send2llm_calls_total", outcome="replayed", error_type="") == 1
    assert value(samples, "gen_ai_client_token_usage_count", **MODEL, gen_ai_token_type="input") == 1


def test_failed_attempts_are_counted_for_each_provider(metrics: Metrics, attempt: AttemptReport) -> None:
    metrics.attempt_failed(attempt)

    labels = {"gen_ai_provider_name": "mistral_ai", "error_type": "provider_overloaded"}
    assert value(scrape(metrics), "send2llm_attempt_failures_total", **labels) == 1


def test_calls_in_flight_go_up_and_down(metrics: Metrics) -> None:
    with metrics.call_in_flight(), metrics.call_in_flight():
        assert value(scrape(metrics), "send2llm_calls_in_flight") == 2

    assert value(scrape(metrics), "send2llm_calls_in_flight") == 0


def test_requests_are_counted_by_the_template_of_their_route(metrics: Metrics) -> None:
    metrics.request_ended("POST", "/api/conversations/{id}/messages", 200)
    metrics.request_ended("BREW", None, 404)

    samples = scrape(metrics)
    requests = "send2llm_http_requests_total"
    template = {"http_route": "/api/conversations/{id}/messages", "http_request_method": "POST"}
    assert value(samples, requests, **template, http_response_status_code=200) == 1
    unmatched = {"http_route": "unmatched", "http_request_method": "_OTHER", "http_response_status_code": 404}
    assert value(samples, requests, **unmatched) == 1


def test_routes_that_are_no_templates_do_not_grow_without_end(metrics: Metrics) -> None:
    for number in range(300):
        metrics.request_ended("GET", f"/mistake/{number}", 200)

    assert len([1 for name, _ in scrape(metrics) if name == "send2llm_http_requests_total"]) == 201


def test_models_get_a_label_when_they_have_answered(metrics: Metrics, call: MakeCall) -> None:
    for typo in range(500):
        metrics.call_ended(call(model=f"smal{typo}", outcome="failed", error="provider_model_not_found", usage=None))
    metrics.call_ended(call(model="small"))

    assert models(scrape(metrics)) == {"small", "other"}


def test_only_so_many_models_get_a_label(call: MakeCall) -> None:
    metrics = Metrics(version="1", known_models=[("mistral", "known")], model_limit=2)

    for model in ("a", "b", "c", "d", "known", "a", "c"):
        metrics.call_ended(call(model=model))

    samples = scrape(metrics)
    assert models(samples) == {"a", "b", "other", "known"}
    other = MODEL | {"gen_ai_request_model": "other"}
    assert value(samples, "gen_ai_client_token_usage_count", **other, gen_ai_token_type="input") == 3


def test_kinds_of_error_do_not_grow_without_end(metrics: Metrics, call: MakeCall) -> None:
    for number in range(150):
        metrics.call_ended(call(outcome="failed", error=f"made up {number}", usage=None, cost_usd=None))

    other = value(scrape(metrics), "send2llm_calls_total", outcome="failed", error_type=conventions.OTHER_ERROR)
    assert other == 50


def test_projections_show_how_they_stand(metrics: Metrics) -> None:
    status = ProjectionStatus(
        name="history",
        version=2,
        position=90,
        head=100,
        lag_events=10,
        lag_seconds=None,
        state="failed",
        rate=0.0,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    metrics.projection_stands(status)
    metrics.append_queue_depth(17)

    samples = scrape(metrics)
    labels = {"projection": "history", "version": "2"}
    assert value(samples, "send2llm_projection_position", **labels) == 90
    assert value(samples, "send2llm_projection_lag_events", **labels) == 10
    assert isnan(value(samples, "send2llm_projection_lag_seconds", **labels) or 0.0)
    assert value(samples, "send2llm_projection_failed", **labels) == 1
    assert value(samples, "send2llm_append_queue_depth") == 17


def test_the_version_and_the_process_are_told(metrics: Metrics) -> None:
    samples = scrape(metrics)

    assert value(samples, "send2llm_build_info", version="1.2.3") == 1
    started = value(samples, "process_start_time_seconds")
    assert started is None or started > 1_700_000_000  # there is no such file system on macOS


def test_the_text_has_no_series_twice_and_none_of_creation_times(metrics: Metrics, call: MakeCall) -> None:
    metrics.call_ended(call())
    body, content_type = metrics.render()

    names = [line.rsplit(" ", 1)[0] for line in body.decode().splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert not [name for name in names if name.split("{")[0].endswith("_created")]
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
