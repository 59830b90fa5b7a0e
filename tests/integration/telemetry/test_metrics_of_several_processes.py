"""Several real worker processes count together, and any of them answers a scrape for all."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.telemetry.multiprocess import (
    MULTIPROCESS_VARIABLE,
    mark_process_dead,
    prepare_multiprocess_directory,
    shared_directory,
)

WORKER = """
import sys
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID
from send2llm.application.ports import CallReport
from send2llm.application.projections import ProjectionStatus
from send2llm.domain.completion import Usage
from send2llm.infrastructure.telemetry.metrics import Metrics

metrics = Metrics(version="1.2.3")
in_flight = []
none = UUID(int=0)

def call(count):
    for _ in range(int(count)):
        report = CallReport(
            none, none, none, "default", "openai/m", "openai", "m", True, "received", 0.5, 0.49, 1,
            usage=Usage(10, 5), cost_usd=Decimal("0.25"), time_to_first_token=0.1,
        )
        metrics.call_ended(report)

def begin(_):
    in_flight.append(metrics.call_in_flight())
    in_flight[-1].__enter__()

def project(position):
    now = datetime.now(UTC)
    metrics.projection_stands(ProjectionStatus("history", 1, int(position), 100, 1, 0.5, "running", 1.0, now))

def scrape(path):
    with open(path, "wb") as file:
        file.write(metrics.render()[0])

print("ready", flush=True)
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    globals()[command](argument)
    print("done", flush=True)
"""


class Worker:
    """A worker process that does what it is told, one command after the other."""

    def __init__(self, directory: Path) -> None:
        environment = {**os.environ, MULTIPROCESS_VARIABLE: str(directory)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        assert self._output.readline() == "ready\n"

    @property
    def _output(self) -> IO[str]:
        return cast("IO[str]", self._process.stdout)

    def does(self, command: str, argument: object = "") -> None:
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(f"{command} {argument}\n")
        stdin.flush()
        assert self._output.readline() == "done\n"

    def scraped(self, folder: Path) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        path = folder / f"scraped-by-{self.pid}"
        self.does("scrape", path)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(path.read_text())
            for sample in family.samples
        }

    def is_killed(self) -> None:
        self._process.kill()
        with self._process:
            self._process.wait()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return prepare_multiprocess_directory(tmp_path)


@pytest.fixture
def workers(directory: Path) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        started = []
        for _ in range(2):
            started.append(Worker(directory))
            stack.callback(started[-1].is_killed)
        yield started


MODEL = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "m"}


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_every_worker_shows_what_all_have_counted(workers: list[Worker], tmp_path: Path) -> None:
    first, second = workers
    first.does("call", 300)
    second.does("call", 500)

    samples = first.scraped(tmp_path)

    assert samples[key("send2llm_calls_total", outcome="received", error_type="")] == 800
    assert samples[key("send2llm_cost_usd_total", gen_ai_provider_name="openai", gen_ai_request_model="m")] == 200.0
    tokens = key("gen_ai_client_inference_usage_input_tokens_total", **MODEL, gen_ai_token_modality="unknown")
    assert samples[tokens] == 8000
    duration = "gen_ai_client_operation_duration_seconds"
    assert samples[key(f"{duration}_count", **MODEL, error_type="")] == 800
    assert samples[key(f"{duration}_sum", **MODEL, error_type="")] == 400.0
    assert samples[key(f"{duration}_bucket", **MODEL, error_type="", le="0.32")] == 0
    assert samples[key(f"{duration}_bucket", **MODEL, error_type="", le="+Inf")] == 800
    assert samples[key("send2llm_build_info", version="1.2.3")] == 1
    counted = {name: count for name, count in samples.items() if not name[0].startswith("process_")}
    others = second.scraped(tmp_path)
    assert {name: count for name, count in others.items() if not name[0].startswith("process_")} == counted


def test_a_killed_workers_counts_stay_and_its_calls_in_flight_go(
    workers: list[Worker], directory: Path, tmp_path: Path
) -> None:
    first, second = workers
    for worker in workers:
        worker.does("call", 10)
        worker.does("begin")
    assert first.scraped(tmp_path)[key("send2llm_calls_in_flight")] == 2

    second.is_killed()
    mark_process_dead(second.pid, directory)

    samples = first.scraped(tmp_path)
    assert samples[key("send2llm_calls_in_flight")] == 1
    assert samples[key("send2llm_calls_total", outcome="received", error_type="")] == 20


def test_the_projections_latest_word_counts(workers: list[Worker], tmp_path: Path) -> None:
    first, second = workers
    first.does("project", 80)
    second.does("project", 90)

    samples = first.scraped(tmp_path)

    assert samples[key("send2llm_projection_position", projection="history", version="1")] == 90


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="prometheus_client reads processes from /proc")
def test_every_worker_is_told_by_its_process(workers: list[Worker], directory: Path, tmp_path: Path) -> None:
    first, second = workers

    def told() -> set[str]:
        memory = "process_resident_memory_bytes"
        return {dict(labels)["pid"] for name, labels in first.scraped(tmp_path) if name == memory}

    assert told() == {str(first.pid), str(second.pid)}

    second.is_killed()
    mark_process_dead(second.pid, directory)

    assert told() == {str(first.pid)}


def test_instances_on_one_data_folder_count_for_themselves(tmp_path: Path) -> None:
    one, other = prepare_multiprocess_directory(tmp_path), prepare_multiprocess_directory(tmp_path)

    assert one != other
    assert one.is_dir()


def test_a_directory_is_kept_while_a_worker_lives_and_removed_when_nobody_uses_it(tmp_path: Path) -> None:
    starter = (
        "import sys; from pathlib import Path\n"
        "from send2llm.infrastructure.telemetry.multiprocess import prepare_multiprocess_directory as prepare\n"
        "print(prepare(Path(sys.argv[1])))"
    )
    run = subprocess.run([sys.executable, "-c", starter, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=True)
    orphaned = Path(run.stdout.strip())
    worker = Worker(orphaned)
    try:
        prepare_multiprocess_directory(tmp_path)
        assert orphaned.is_dir()
    finally:
        worker.is_killed()

    prepare_multiprocess_directory(tmp_path)

    assert not orphaned.exists()


def test_starting_workers_does_not_load_the_library_too_early() -> None:
    program = (
        "import sys; import send2llm.infrastructure.telemetry.multiprocess\n"
        "sys.exit('prometheus_client' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_variable_that_names_no_directory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(MULTIPROCESS_VARIABLE, str(tmp_path / "gone"))

    with pytest.raises(ConfigurationError, match="is no directory; unset"):
        shared_directory()
