"""The service of the guides: a process of its own in a folder of its own, with a provider that knows a few answers."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from transcripts import Step, Transcript

from send2llm.infrastructure.postgres import EmbeddedPostgres
from send2llm.testing.eventually import eventually
from send2llm.testing.openai_server import DONE, FakeOpenAIServer, Reply, StreamReply, completion_chunks, event
from send2llm.testing.provider_server import Behaviour, RecordedRequest, running_in_thread

READY = re.compile(r"Send2LLM answers at (http://\S+)")
ANSWERS = {
    "May I use my private telephone at work?": ("Yes, in your breaks.", 420, 30),
    "And abroad?": ("Ask your manager first.", 480, 25),
    "How many days of leave do I have?": ("Thirty days a year.", 410, 20),
}
"""By question: the answer, and what tokens the provider counts."""


class KnowingProvider(FakeOpenAIServer):
    """Answers what it knows, and counts tokens as it was told to."""

    def __init__(self) -> None:
        super().__init__(models=("small", "large"))

    def usual(self, request: RecordedRequest) -> Behaviour:
        body = request.json
        text, given, taken = ANSWERS[body["messages"][-1]["content"]]
        usage = {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}
        if body.get("stream"):
            return StreamReply([*(event(chunk) for chunk in completion_chunks(text, usage=usage)), DONE])
        return Reply.of(text, usage=usage)


class GuideService:
    """A service that a page starts, in a folder of its own; a second start ends the first one."""

    def __init__(self, folder: Path, provider: str) -> None:
        self.transcript = Transcript.at(folder, {"SEND2LLM_DATA_DIR": str(folder / "data"), "SEND2LLM_PORT": "0"})
        self.folder = folder
        self._provider = provider
        self._log = folder / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, name: str, text: str) -> None:
        """A file of the page, with the provider's real address."""
        (self.folder / name).write_text(text.replace("http://127.0.0.1:8000/v1", self._provider))

    def serve(self, step: Step) -> None:
        """Start it as the page does."""
        self.stop()
        with self._log.open("wb") as output:
            command = shlex.split(step.command)
            environment = dict(self.transcript.environment)
            self._process = subprocess.Popen(
                [str(self.folder / "bin" / command[0]), *command[1:]], cwd=self.folder, env=environment,
                stdout=output, stderr=output,
            )  # fmt: skip
        address = eventually(self._address, 60)
        said = "\n".join(line for line in self._log.read_text().splitlines() if not line.startswith("{"))
        shown = step.shown.replace("/var/lib/send2llm", str(self.folder / "data"))
        self.transcript.compare(shown.replace("http://127.0.0.1:8484", address), said, step.command)
        self.transcript.environment["SEND2LLM_URL"] = address

    def stop(self) -> None:
        """End it well."""
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(60) == 0, self._log.read_text()
            self._process = None

    def query(self, question: str) -> str:
        """What a query finds, as a table of text."""
        with (
            EmbeddedPostgres(self.folder / "data") as postgres,
            psycopg.connect(postgres.connection_info.dsn) as connection,
            connection.cursor() as cursor,
        ):
            rows = cursor.execute(question.encode()).fetchall()
            names = [column.name for column in cursor.description or ()]
        return "".join(" | ".join(str(value) for value in row) + "\n" for row in [names, *rows])

    def _address(self) -> str | None:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        found = READY.search(self._log.read_text())
        return found[1] if found else None


@contextmanager
def guide_service() -> Iterator[GuideService]:
    """Its provider runs; it does not, until the page starts it."""
    with TemporaryDirectory(prefix="s2l-") as place, running_in_thread(KnowingProvider()) as provider:
        # Not pytest's folder: a short path for PostgreSQL's socket, which the account of root's server may enter.
        Path(place).chmod(0o755)
        service = GuideService(Path(place), provider)
        try:
            yield service
        finally:
            service.stop()
