"""Where the trial takes place: one PostgreSQL, one provider, several services, and what happens to them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
from psycopg.rows import dict_row

from send2llm.infrastructure.postgres import EmbeddedPostgres
from send2llm.infrastructure.read_models.migration import migrate
from service import announced, running

PRICE = "{ input = 1, output = 20 }"

CONFIGURATION = """
[providers.trial]
base_url = "{provider}/v1"
models = {models}

[timeouts]
first_token = 3
between_tokens = 5
total = 20

[retries]
attempts = 2
first_wait = 0.05

[budgets]
allowance_seconds = {allowance}
idle_seconds = 1

[log]
level = "warning"
format = "json"

[prices]
{prices}
"""


@dataclass
class Stage:
    """Everything that runs, and the hands that reach in."""

    folder: Path
    postgres: EmbeddedPostgres
    provider: str
    services: list[subprocess.Popen[bytes]]
    urls: list[str]
    """Where each service answers; that of one that was started anew changes."""
    dsn: str

    def start_service(self) -> tuple[subprocess.Popen[bytes], str]:
        """Start one more service."""
        log = self.folder / f"service-{len(list(self.folder.glob('service-*.log')))}.log"
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("SEND2LLM_", "OPENAI_"))}
        environment = {
            **outside,
            "SEND2LLM_CONFIG": str(self.folder / "send2llm.toml"),
            "SEND2LLM_DATA_DIR": str(self.folder / log.stem),
            "SEND2LLM_DATABASE_URL": self.dsn,
            "SEND2LLM_PORT": "0",
        }
        command = [str(Path(sys.executable).with_name("send2llm")), "serve"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        return process, announced(process, log)

    def kill(self, number: int) -> None:
        """``kill -9`` for a service and all its processes."""
        for process in self._family(number):
            process.kill()
        self.services[number].wait()

    def pause(self, number: int) -> None:
        """Stop a service and all its processes in their tracks."""
        for process in self._family(number):
            process.suspend()

    def resume(self, number: int) -> None:
        """Let it go on, as if nothing had happened."""
        for process in self._family(number):
            process.resume()

    def revive(self, number: int) -> None:
        """Start a killed service anew."""
        self.services[number], self.urls[number] = self.start_service()

    def restart_postgres(self) -> None:
        """Stop the database, and start it again."""
        self.postgres.stop()
        self.postgres.start()

    def events(self, *topics: str) -> list[dict[str, Any]]:
        """Stored events: stream, topic and data."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            return connection.execute(
                "SELECT originator_id AS stream, topic, convert_from(state, 'UTF8')::jsonb -> 'data' AS data"
                " FROM stored_events WHERE topic = ANY (%s) ORDER BY notification_id",
                [list(topics)],
            ).fetchall()

    def get(self, path: str) -> Any:
        """Ask the first service that answers."""
        return httpx2.get(f"{self.urls[0]}{path}", trust_env=False, timeout=120).json()

    def ledger(self) -> dict[str, Any]:
        """The provider's own count."""
        return httpx2.get(f"{self.provider}/ledger", trust_env=False, timeout=60).json()

    def said(self) -> str:
        """All that the services logged."""
        return "".join(log.read_text() for log in sorted(self.folder.glob("service-*.log")))

    def _family(self, number: int) -> list[psutil.Process]:
        supervisor = psutil.Process(self.services[number].pid)
        return [supervisor, *supervisor.children(recursive=True)]


@contextmanager
def stage(folder: Path, models: list[str], services: int, allowance: float, seed: int) -> Iterator[Stage]:
    """Start everything in a folder; end it all."""
    with ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres-data"))
        migrate(postgres.connection_info)
        command = [sys.executable, str(Path(__file__).with_name("provider.py")), "--seed", str(seed)]
        provider = stack.enter_context(running(subprocess.Popen(command, stdout=subprocess.PIPE)))
        assert provider.stdout is not None
        url = provider.stdout.readline().decode().strip()
        prices = "\n".join(f'"trial/{model}" = {PRICE}' for model in models)
        (folder / "send2llm.toml").write_text(
            CONFIGURATION.format(provider=url, models=models, allowance=allowance, prices=prices)
        )
        built = Stage(folder, postgres, url, [], [], postgres.connection_info.dsn)
        stack.callback(_end, built)
        for _ in range(services):
            process, address = built.start_service()
            built.services.append(process)
            built.urls.append(address)
        yield built


def _end(built: Stage) -> None:
    for process in built.services:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
    for process in built.services:
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
