"""The whole service under load: calls a second, latency, and whose processor time they cost.

Starts its own PostgreSQL (durable), an upstream that is much faster than the service, and ``send2llm serve`` with one
worker on a processor of its own; load, upstream and database share another (see ``service.py``). At the end the
answers are counted in the event store: every one that a caller got must be there.

Run: ``python benchmarks/gateway.py`` (about a minute; ``--only json-c32`` for one scenario)
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import figures
from machine import QUIET, CpuWatch, settle
from service import KEY, PROVIDER, RunningService, running_service

WARM_UP = 1.0
"""Seconds."""
PATIENCE = 5.0
"""Seconds to wait for a quiet machine before each measurement."""

RECEIVED = "conversation.completion_received"


@dataclass(frozen=True, slots=True)
class Scenario:
    """``json-c32``: 32 connections. ``stream20ms-c16``: streams whose chunks are 20 ms apart."""

    name: str

    @property
    def stream(self) -> bool:
        return self.name.startswith("stream")

    @property
    def connections(self) -> int:
        return int(self.name.rpartition("-c")[2])

    @property
    def model(self) -> str:
        gap = re.match(r"stream(\d+)ms", self.name)
        return f"drip-0-{gap[1] if gap else 0}" if self.stream else "instant"


SCENARIOS = [Scenario(name) for name in ("json-c1", "json-c32", "json-c128", "stream-c16", "stream20ms-c16")]


class Measurement:
    """Measures scenarios on one running service, and counts the answers that callers got."""

    def __init__(self, service: RunningService, seconds: float, tries: int) -> None:
        self._service = service
        self._seconds = seconds
        self._tries = tries
        self.answered = 0

    def row(self, scenario: Scenario) -> figures.Row:
        """The figures of the quietest of some tries."""
        self._ask(scenario, WARM_UP)
        direct = load(f"{self._service.upstream_url}/chat/completions", scenario.model, scenario, 1.0)
        best: dict[str, Any] | None = None
        for _ in range(self._tries):
            settle(PATIENCE)
            with CpuWatch(self._service.groups) as watch:
                found = self._ask(scenario, self._seconds)
            if best is None or watch.others < best["others_cpus"]:
                best = _row(scenario, found, direct, watch)
            if watch.others < QUIET:
                break
        return best or {}

    def _ask(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        found = load(self._service.chat_url, f"{PROVIDER}/{scenario.model}", scenario, seconds)
        self.answered += found["calls"]
        if found["errors"]:
            print(f"{scenario.name}: {found['errors']} errors; the first: {found['first_error']}")
        return found


def load(url: str, model: str, scenario: Scenario, seconds: float) -> dict[str, Any]:
    """Run ``load.py`` in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("load.py")), url, "--model", model, "--key", KEY]
    command += ["--connections", str(scenario.connections), "--seconds", str(seconds)]
    if scenario.stream:
        command.append("--stream")
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds + 60, check=True)
    result: dict[str, Any] = orjson.loads(done.stdout)
    return result


def _row(scenario: Scenario, found: dict[str, Any], direct: dict[str, Any], watch: CpuWatch) -> dict[str, Any]:
    thousands = found["calls"] / 1000
    cpu = {f"{part}_cpu_s_per_1k": seconds / thousands for part, seconds in watch.seconds.items()}
    return {
        "scenario": scenario.name,
        "calls_per_s": found["calls_per_second"],
        **{name: found[name] for name in ("p50_ms", "p95_ms", "p99_ms", "first_event_p50_ms")},
        "overhead_p50_ms": found["p50_ms"] - direct["p50_ms"],
        **cpu,
        "load_cpu_s_per_1k": found["cpu_seconds"] / thousands,
        "errors": found["errors"],
        "others_cpus": watch.others,
    }


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("--only", help="scenarios, separated by commas")
    options.add_argument("--seconds", type=float, default=5.0, help="for each scenario")
    options.add_argument("--tries", type=int, default=2, help="at most, where others use the machine as well")
    given = options.parse_args()
    scenarios = [Scenario(name) for name in given.only.split(",")] if given.only else SCENARIOS
    with running_service() as service:
        measurement = Measurement(service, given.seconds, given.tries)
        rows = [measurement.row(scenario) for scenario in scenarios]
        stored = service.count(RECEIVED)
    figures.tell("The whole service, one worker on one processor", rows, given.figures)
    print(f"answers given: {measurement.answered:,}; answers in the event store: {stored:,}")
    if stored != measurement.answered:
        sys.exit("An answer was given that is not in the event store, or stored and not given.")


if __name__ == "__main__":
    main()
