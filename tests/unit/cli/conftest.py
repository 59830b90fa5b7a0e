"""The command line in this process, against a fake service in a thread."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from send2llm.infrastructure.providers.presets import usual_variables
from send2llm.interfaces.cli import main
from send2llm.testing.api import FakeApi
from send2llm.testing.api_server import FakeApiServer


@dataclass(frozen=True)
class Result:
    exit_code: int
    output: str
    errors: str


Run = Callable[..., Result]


@pytest.fixture(scope="session")
def session_server() -> Iterator[FakeApiServer]:
    with FakeApiServer(FakeApi()) as server:
        yield server


@pytest.fixture
def api(session_server: FakeApiServer) -> FakeApi:
    """A service with nothing in it yet."""
    session_server.api = FakeApi()
    return session_server.api


@pytest.fixture
def url(session_server: FakeApiServer, api: FakeApi) -> str:
    return session_server.url


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the user's own is read or written."""
    for name in list(os.environ):
        if name.startswith("SEND2LLM_") or name in usual_variables() | {"COLUMNS", "FORCE_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str) -> Run:
    """Run a command against the fake service, or the one that the arguments name."""

    def run_command(*arguments: str, stdin: str | bytes = b"") -> Result:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(content)))
        with_url: Sequence[str] = arguments if "--url" in arguments else (*arguments, "--url", url)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(with_url)
        printed = capsys.readouterr()
        return Result(int(ended.value.code or 0), printed.out, printed.err)

    return run_command
