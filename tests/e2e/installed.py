"""Send2LLM as users have it: the installed wheel, run as processes, looked at from outside."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
from openai import OpenAI

from send2llm.bootstrap.texts import TEXT_KEYS_FILE
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import EmbeddedPostgres
from send2llm.infrastructure.providers.presets import usual_variables
from send2llm.testing.eventually import eventually

MODEL = "parrot"
PROVIDER_KEY = "sk-provider-0123456789"
READY = re.compile(r"Send2LLM answers at (http://\S+)")
OURS = re.compile(r"^(SEND2LLM|PROMETHEUS|PYTHON)")
ENDINGS = ("completion_received", "completion_failed", "completion_interrupted")


@dataclass
class Provider:
    """The provider process."""

    url: str

    def held(self) -> int:
        """How many calls wait to be released."""
        count: int = httpx2.get(f"{self.url}/held", trust_env=False).json()
        return count

    def release(self) -> None:
        """Answer them."""
        httpx2.post(f"{self.url}/release", trust_env=False)


@dataclass
class Folder:
    """A data folder with its configuration, and what runs in it."""

    path: Path
    command: Path
    provider: Provider
    services: "list[RunningService]" = field(default_factory=list)

    def environment(self, **further: str) -> dict[str, str]:
        """The caller's, without what would change how the service runs."""
        ours = usual_variables()
        kept = {name: value for name, value in os.environ.items() if not OURS.match(name) and name not in ours}
        return {
            **kept,
            "PYTHONDEVMODE": "1",  # resource warnings and the like are told
            "SEND2LLM_DATA_DIR": str(self.path),
            "SEND2LLM_CONFIG": str(self.path / "send2llm.toml"),
            "SEND2LLM_PORT": "0",
            "PROVIDER_KEY": PROVIDER_KEY,
            **further,
        }

    def write_configuration(self) -> None:
        (self.path / "send2llm.toml").write_text(
            f'[providers.echo]\nbase_url = "{self.provider.url}/v1"\n'
            f'api_key = "env:PROVIDER_KEY"\nmodels = ["{MODEL}"]\n'
            "[retries]\nattempts = 1\n"
        )

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [self.command, *arguments],
            env=self.environment(**environment),
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def serve(self, *arguments: str, **environment: str) -> "RunningService":
        """Start a service, and wait until it answers."""
        output = self.path / f"service-{len(self.services)}.log"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [self.command, "serve", *arguments],
                env=self.environment(**environment),
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        service = RunningService(process, output)
        self.services.append(service)
        service.wait_until_ready()
        return service

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection to the embedded database, whether a service runs or not."""
        with (
            EmbeddedPostgres(self.path) as postgres,
            psycopg.connect(postgres.connection_info.dsn, autocommit=True) as connection,
        ):
            yield connection

    def events(self, topic: str) -> list[dict[str, Any]]:
        """The data of the stored events of a topic (without ``conversation.``), the stream among them."""
        codec = EventCodec(EventRegistry.default(), TextKeys.of_file(self.path / TEXT_KEYS_FILE))
        with self.database() as connection:
            rows = connection.execute(
                "SELECT originator_id, originator_version, topic, state, wrapped"
                " FROM stored_events LEFT JOIN conversation_keys USING (originator_id)"
                " WHERE topic = %s ORDER BY notification_id",
                [f"conversation.{topic}"],
            ).fetchall()
        return [{"stream": row[0], **codec.read_plain(*row)[1]} for row in rows]

    def open_calls(self) -> set[str]:
        """Calls without an outcome; no call may have two."""
        begun = [one["completion_id"] for one in self.events("completion_requested")]
        ended = [one["completion_id"] for topic in ENDINGS for one in self.events(topic)]
        assert len(ended) == len(set(ended))
        assert set(ended) <= set(begun)
        return set(begun) - set(ended)

    def processes(self) -> list[psutil.Process]:
        """Everything that works in this folder, PostgreSQL included."""
        return [process for process in psutil.process_iter() if _works_in(process, str(self.path))]


@dataclass
class RunningService:
    """A service that was started with ``send2llm serve``."""

    process: "subprocess.Popen[bytes]"
    output: Path
    url: str = ""

    def wait_until_ready(self) -> None:
        def found() -> "re.Match[str] | None":
            assert self.process.poll() is None, self.said()
            return READY.search(self.said())

        match = eventually(found, 60)
        assert match is not None
        self.url = match[1]

    def said(self) -> str:
        """What it has written so far, logs included."""
        return self.output.read_text()

    def sdk(self, **options: Any) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=30, **options)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"{self.url}{path}", trust_env=False, timeout=30)

    def refuses(self) -> bool:
        """Whether nobody listens any more."""
        try:
            self.get("/healthz")
        except httpx2.ConnectError:
            return True
        return False

    def children(self, module: str) -> list[psutil.Process]:
        """Its processes of a module: ``worker`` or ``projector``."""
        found = psutil.Process(self.process.pid).children()
        return [one for one in found if f"send2llm.interfaces.serving.{module}" in " ".join(one.cmdline())]

    def stop(self) -> None:
        """Ask it to end, as a service manager does; it has to end well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.said()

    def kill(self) -> None:
        """End it and all of its processes at once, as a crash does; PostgreSQL stays."""
        family = [psutil.Process(self.process.pid), *self.children("worker"), *self.children("projector")]
        for one in family:
            one.kill()
        self.process.wait(10)
        psutil.wait_procs(family, 10)

    def assert_quiet(self) -> None:
        """Nothing that it wrote is a traceback, a warning of the interpreter, an error, or a secret."""
        said = self.said()
        for sign in ("Traceback", "Warning:", '"level":"error"', PROVIDER_KEY, "You said"):
            assert sign not in said, said


def _works_in(process: psutil.Process, path: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
            return False
        return path in process.environ().get("SEND2LLM_DATA_DIR", "") or process.cwd().startswith(path)
    except psutil.Error:
        return False
