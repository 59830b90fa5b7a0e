"""Starts the whole service for a benchmark: everything on, every event durable, one worker on a processor of its own.

The supervisor, the worker and the projector get one processor; PostgreSQL, the upstream and the load get the other.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from os import environ
from pathlib import Path
from time import monotonic, sleep

import psutil
import psycopg

from machine import OTHER_CPU, SERVICE_CPU, pin, pinned
from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres
from send2llm.infrastructure.postgres.server_processes import recorded_postmaster
from send2llm.infrastructure.read_models.migration import migrate

KEY = "a-key-of-the-benchmark"
PROVIDER = "bench"
ADDRESS = re.compile(r"answers at (http://\S+)")
START_PATIENCE = STOP_PATIENCE = 60.0
"""Seconds."""

Process = subprocess.Popen[bytes]

CONFIGURATION = """
api_key = "{key}"

[providers.{provider}]
base_url = "{upstream}"
models = ["instant", "drip-0-0", "drip-0-20"]

[prices]
"{provider}/instant" = {{ input = 0.15, output = 0.6 }}
"{provider}/drip-0-0" = {{ input = 0.15, output = 0.6 }}
"{provider}/drip-0-20" = {{ input = 0.15, output = 0.6 }}
"""


@dataclass(frozen=True, slots=True)
class RunningService:
    """Where it is, and its processes by what they do (``worker``, ``projector``, ``postgres``, ``upstream``)."""

    url: str
    upstream_url: str
    database: ConnectionInfo
    groups: dict[str, list[int]]

    @property
    def chat_url(self) -> str:
        """Where chat completions are asked for."""
        return f"{self.url}/v1/chat/completions"

    def count(self, topic: str) -> int:
        """How many events of a topic are stored."""
        with psycopg.connect(self.database.dsn) as connection:
            row = connection.execute("SELECT count(*) FROM stored_events WHERE topic = %s", [topic]).fetchone()
        return row[0] if row else 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service needs: a folder, a migrated database, an upstream, and the environment that tells of them."""

    folder: Path
    database: ConnectionInfo
    upstream_url: str
    environment: dict[str, str]
    groups: dict[str, list[int]]


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Start PostgreSQL and the upstream in a folder of their own; end and remove it all."""
    pin(OTHER_CPU)
    folder = Path(tempfile.mkdtemp(prefix="send2llm-bench-"))
    folder.chmod(0o755)  # for root, the server runs as another account
    try:
        with EmbeddedPostgres(folder / "data") as postgres, _upstream() as upstream:
            database = postgres.connection_info
            migrate(database)
            upstream_url = _first_line(upstream)
            yield Surroundings(
                folder=folder,
                database=database,
                upstream_url=upstream_url,
                environment=_environment(folder, database, upstream_url),
                groups={
                    "postgres": [recorded_postmaster(folder / "data" / "postgres") or 0],
                    "upstream": [upstream.pid],
                },
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_service() -> Iterator[RunningService]:
    """Start everything, and end it."""
    with surroundings() as around, serving(around, cpu=SERVICE_CPU) as service:
        yield service


@contextmanager
def serving(around: Surroundings, cpu: int | None = None) -> Iterator[RunningService]:
    """Start the service alone, on one processor if it is named, and end it."""
    log = around.folder / "service.log"
    command = [str(Path(sys.executable).with_name("send2llm")), "serve"]
    with nullcontext() if cpu is None else pinned(cpu), log.open("wb") as output:
        process = subprocess.Popen(command, env=around.environment, stdout=output, stderr=output)
    with running(process):
        yield RunningService(
            url=announced(process, log),
            upstream_url=around.upstream_url,
            database=around.database,
            groups={**_parts_of(process.pid), **around.groups},
        )


def on_database(database: ConnectionInfo, folder: Path) -> Surroundings:
    """What a service needs that only reads a database which is there: its provider cannot be reached."""
    nowhere = "http://127.0.0.1:9"
    return Surroundings(folder, database, nowhere, _environment(folder, database, nowhere), {})


def _upstream() -> AbstractContextManager[Process]:
    command = [sys.executable, str(Path(__file__).with_name("upstream.py")), "--port", "0"]
    return running(subprocess.Popen(command, stdout=subprocess.PIPE))


def _environment(folder: Path, database: ConnectionInfo, upstream_url: str) -> dict[str, str]:
    configuration = folder / "send2llm.toml"
    configuration.write_text(CONFIGURATION.format(key=KEY, provider=PROVIDER, upstream=upstream_url))
    outside = {name: value for name, value in environ.items() if not name.startswith(("SEND2LLM_", "OPENAI_"))}
    return {
        **outside,
        "SEND2LLM_CONFIG": str(configuration),
        "SEND2LLM_DATA_DIR": str(folder / "data"),
        "SEND2LLM_DATABASE_URL": database.dsn,
        "SEND2LLM_PORT": "0",
    }


@contextmanager
def running(process: Process) -> Iterator[Process]:
    """End the process with the ``with`` block, politely."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _first_line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def announced(service: Process, log: Path) -> str:
    """The address that the service says, once it answers."""
    gives_up = monotonic() + START_PATIENCE
    while not (said := ADDRESS.search(log.read_text())):
        if service.poll() is not None or monotonic() > gives_up:
            raise SystemExit(f"The service did not start:\n{log.read_text()}")
        sleep(0.05)
    return said.group(1)


def _parts_of(supervisor: int) -> dict[str, list[int]]:
    """The processes of the service by what they do."""
    parts: dict[str, list[int]] = {"worker": [], "projector": []}
    for process in psutil.Process(supervisor).children():
        module = " ".join(process.cmdline())
        for name, pids in parts.items():
            if f"serving.{name}" in module:
                pids.append(process.pid)
    return parts
