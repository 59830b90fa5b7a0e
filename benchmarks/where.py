"""Where the time of a call goes: the worker's microseconds by stage.

Runs the worker as the service does (durable PostgreSQL, log, metrics, a processor of its own), under a load that keeps
it busy, and looks a thousand times a second at what its event loop does. A look counts for the innermost frame that
belongs to a stage, so that a stage has what it calls in other libraries; C functions count for the Python function
that called them, reading a socket for the callback that takes the data. A look weighs as much as the processor time
that the loop's thread has used since the last one; the writer's thread is measured by its own clock. So the sum of
the table is what a call costs the worker, and nothing is scaled.

Run: ``python benchmarks/where.py`` (about 20 seconds; ``--stream`` for streams of 50 chunks, ``--functions`` for more)
"""

import argparse
import gc
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from time import CLOCK_THREAD_CPUTIME_ID, clock_gettime, monotonic, pthread_getcpuclockid, sleep
from types import FrameType
from typing import Any

import orjson

import figures
from gateway import WARM_UP, Scenario, load
from machine import SERVICE_CPU, pinned
from send2llm.infrastructure.telemetry.multiprocess import MULTIPROCESS_VARIABLE, prepare_multiprocess_directory
from service import PROVIDER, START_PATIENCE, running, surroundings

LOOK_EVERY = 0.001
"""Seconds."""
FUNCTIONS = 40

SERVER = "HTTP server and event loop: uvicorn, uvloop"
STAGES = (
    # A part of a file's path, and its stage; the first that fits counts.
    ("/send2llm/interfaces/", "endpoint: body, headers, answer"),
    ("/send2llm/infrastructure/formats/", "provider format, both ways"),
    ("/send2llm/infrastructure/providers/", "provider adapter, httpx2"),
    ("/send2llm/infrastructure/prices/", "application: the use case"),
    ("/send2llm/infrastructure/event_store/codec", "events to rows"),
    ("/send2llm/infrastructure/event_store/conv", "events to rows"),
    ("/send2llm/infrastructure/event_store/", "append: hand-over and answer"),
    ("/send2llm/infrastructure/telemetry/metrics", "metrics"),
    ("/send2llm/infrastructure/telemetry/call_series", "metrics"),
    ("/send2llm/infrastructure/telemetry/", "log"),
    ("/send2llm/domain/", "domain"),
    ("/send2llm/application/", "application: the use case"),
    ("/prometheus_client/", "metrics"),
    ("/structlog/", "log"),
    ("<cattrs", "events to rows"),
    ("/cattrs/", "events to rows"),
    ("/httpx2/", "provider adapter, httpx2"),
    ("/aiohttp/", "aiohttp"),
    ("/yarl/", "aiohttp"),
    ("/multidict/", "aiohttp"),
    ("/aiosignal/", "aiohttp"),
    ("/uvicorn/", SERVER),  # below everything
)
GARBAGE = "garbage collector"
WRITER = "writer's thread: batches, libpq"
WRITER_THREAD = "event-store-writer"


class Sampler:
    """Looks at the main thread, which runs the event loop, by a signal; counts processor seconds."""

    def __init__(self) -> None:
        self.stages: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self._stage_of: dict[str, str | None] = {}
        self._used = 0.0
        self._collecting = 0.0
        signal.signal(signal.SIGALRM, self._look)

    def start(self) -> None:
        self._used = clock_gettime(CLOCK_THREAD_CPUTIME_ID)
        signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY, LOOK_EVERY)

        gc.callbacks.append(self._collect)

    def stop(self) -> None:
        gc.callbacks.remove(self._collect)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _collect(self, phase: str, _information: object) -> None:
        """The collector has no frame of its own: it runs inside of whatever makes an object."""
        if threading.current_thread() is not threading.main_thread():
            return
        now = clock_gettime(CLOCK_THREAD_CPUTIME_ID)
        if phase == "start":
            self._collecting = now
        else:
            self.stages[GARBAGE] += now - self._collecting
            self._used += now - self._collecting

    def _look(self, _number: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code is Sampler._collect.__code__:
            return
        used = clock_gettime(CLOCK_THREAD_CPUTIME_ID)
        weight, self._used = used - self._used, used
        code = frame.f_code
        self.functions[f"{'/'.join(code.co_filename.split('/')[-2:])} {code.co_qualname}"] += weight
        while frame is not None:
            stage = self._stage(frame.f_code.co_filename)
            if stage is not None:
                break
            frame = frame.f_back
        self.stages[stage or SERVER] += weight

    def _stage(self, file: str) -> str | None:
        try:
            return self._stage_of[file]
        except KeyError:
            stage = next((stage for part, stage in STAGES if part in file), None)
            self._stage_of[file] = stage
            return stage


def work(descriptor: int, report: Path) -> None:
    """The worker's process: serves as ``send2llm serve`` has it done, and samples between SIGUSR1 and SIGUSR2."""
    from send2llm.interfaces.serving.logs import log_as_set  # noqa: PLC0415 - with the variables of its environment
    from send2llm.interfaces.serving.worker import serve  # noqa: PLC0415 - as above
    from send2llm.settings import load_settings  # noqa: PLC0415 - as above

    sampler = Sampler()
    begun: dict[str, float] = {}

    def begin(*_: object) -> None:
        begun.update(_thread_seconds())
        sampler.start()

    def end(*_: object) -> None:
        sampler.stop()
        used = {name: seconds - begun.get(name, 0.0) for name, seconds in _thread_seconds().items()}
        found = {"threads": used, "stages": dict(sampler.stages), "functions": sampler.functions.most_common(FUNCTIONS)}
        report.with_suffix(".part").write_bytes(orjson.dumps(found))
        report.with_suffix(".part").rename(report)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    settings = load_settings()
    log_as_set(settings)
    serve(settings, [socket.socket(fileno=descriptor)])


def _thread_seconds() -> dict[str, float]:
    """Processor time of each thread of this process; called from the main one."""
    seconds = {"loop": clock_gettime(CLOCK_THREAD_CPUTIME_ID)}
    for thread in threading.enumerate():
        if thread.ident is not None and thread is not threading.main_thread():
            seconds[thread.name] = seconds.get(thread.name, 0.0) + clock_gettime(pthread_getcpuclockid(thread.ident))
    return seconds


def profile(scenario: Scenario, seconds: float) -> tuple[dict[str, Any], int]:
    """What the worker found out about itself, and how many calls it answered meanwhile."""
    with surroundings() as around:
        report = around.folder / "profile.json"
        metrics = prepare_multiprocess_directory(around.folder / "data")
        with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
            host, port = listener.getsockname()
            command = [sys.executable, __file__, "--work", str(listener.fileno()), str(report)]
            environment = {**around.environment, MULTIPROCESS_VARIABLE: str(metrics)}
            with pinned(SERVICE_CPU), (around.folder / "worker.log").open("wb") as log:
                process = subprocess.Popen(
                    command, env=environment, pass_fds=[listener.fileno()], stdout=log, stderr=log
                )
            with running(process):
                url = f"http://{host}:{port}/v1/chat/completions"
                model = f"{PROVIDER}/{scenario.model}"
                load(url, model, scenario, WARM_UP)  # waits at the door until the worker has started
                process.send_signal(signal.SIGUSR1)
                calls = load(url, model, scenario, seconds)["calls"]
                process.send_signal(signal.SIGUSR2)
                gives_up = monotonic() + START_PATIENCE
                while not report.exists() and monotonic() < gives_up:
                    sleep(0.05)
                found: dict[str, Any] = orjson.loads(report.read_bytes())
                return found, calls


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("--stream", action="store_true")
    options.add_argument("--functions", action="store_true", help="the busiest functions as well")
    options.add_argument("--seconds", type=float, default=8.0)
    options.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.work:
        work(int(given.work[0]), Path(given.work[1]))
        return
    scenario = Scenario("stream-c16" if given.stream else "json-c32")
    found, calls = profile(scenario, given.seconds)
    threads = found["threads"]
    others = sum(threads.values()) - threads["loop"] - threads[WRITER_THREAD]
    stages = {**found["stages"], WRITER: threads[WRITER_THREAD], "other threads": others}
    total = sum(stages.values())
    rows: list[figures.Row] = [
        {"stage": name, "us_a_call": seconds / calls * 1e6, "share_percent": seconds / total * 100}
        for name, seconds in sorted(stages.items(), key=lambda stage: -stage[1])
    ]
    rows.append({"stage": "all", "us_a_call": total / calls * 1e6, "share_percent": 100.0})
    figures.tell(f"Where the worker's time goes, {scenario.name}", rows, given.figures)
    if given.functions:
        functions = [{"function": name, "us_a_call": seconds / calls * 1e6} for name, seconds in found["functions"]]
        figures.tell("Functions", functions, None)


if __name__ == "__main__":
    main()
