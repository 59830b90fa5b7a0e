"""The service of the guides: a process of its own in a folder of its own, with a provider that knows a few answers."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from transcripts import Transcript

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


@contextmanager
def guide_service(configuration: str) -> Iterator[Transcript]:
    """What is run against it; ``configuration`` is its file, as a page shows it."""
    with TemporaryDirectory(prefix="s2l-") as place, running_in_thread(KnowingProvider()) as provider:
        # Not pytest's folder: a short path for PostgreSQL's socket, which the account of root's server may enter.
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "send2llm.toml").write_text(configuration.replace("http://127.0.0.1:8000/v1", provider))
        transcript = Transcript.at(folder, {"SEND2LLM_DATA_DIR": str(folder / "data"), "SEND2LLM_PORT": "0"})
        with _serving(folder, transcript.environment) as address:
            yield replace(transcript, environment={**transcript.environment, "SEND2LLM_URL": address})


@contextmanager
def _serving(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    log = folder / "service.log"
    with log.open("wb") as output:
        command = [str(folder / "bin" / "send2llm"), "serve"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:

        def address() -> str | None:
            assert process.poll() is None, log.read_text()
            found = READY.search(log.read_text())
            return found[1] if found else None

        yield eventually(address, 60)
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
