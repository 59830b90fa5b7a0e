"""The text that Prometheus scrapes."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector


class BuildInformation(Collector):
    """Which version runs: the same in every worker, so it is told, not counted."""

    def __init__(self, version: str) -> None:
        self._version = version

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("send2llm_build_info", "The running version; always 1.", labels=["version"])
        family.add_metric([self._version], 1)
        yield family


class WorkerProcesses(Collector):
    """Memory, processor time, open files, start time of every live worker, told apart by the label ``pid``.

    The library has them only for the process that happens to answer the scrape, so that its counters would
    jump to and fro between workers. A worker is live while it has a file of live gauges, which
    ``mark_process_dead`` removes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for pid in sorted({path.stem.rpartition("_")[2] for path in self._directory.glob("gauge_live*.db")}):
            for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {**sample.labels, "pid": pid}, sample.value)
        yield from families.values()


def scraped_registry(version: str, shared_directory: Path | None) -> CollectorRegistry:
    """What a scrape reads: the files of all workers, or the instruments that register themselves here."""
    registry = CollectorRegistry()
    registry.register(BuildInformation(version))
    if shared_directory is None:
        ProcessCollector(registry=registry)
    else:
        MultiProcessCollector(registry, str(shared_directory))  # type: ignore[no-untyped-call]
        registry.register(WorkerProcesses(shared_directory))
    return registry


def exposition(registry: CollectorRegistry) -> tuple[bytes, str]:
    """The text format and its content type: version 0.0.4, which every Prometheus server reads."""
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
