"""Somebody else's projection in a package of its own: built over all history while calls go on; then version 2."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from installed import MODEL, Folder, RunningService

from send2llm.testing.eventually import eventually

PACKAGE = Path(__file__).parents[2] / "examples" / "projection_package"
README = (PACKAGE / "README.md").read_text("utf-8")
STORED = """
    SELECT notification_id, (convert_from(state, 'UTF8')::jsonb -> 'data' ->> 'duration')::float,
           (convert_from(state, 'UTF8')::jsonb -> 'data' -> 'reported_usage' ->> 'output_tokens')::bigint
    FROM stored_events WHERE topic = 'conversation.completion_received' ORDER BY notification_id
"""


def block(language: str) -> str:
    """The one of the README in this language that has a test."""
    found = re.findall(rf"^```{language} run-by [^\n]*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def install(package: Path, site: Path) -> None:
    """Build it with pip, and put it where the services of this test find it, and nobody else."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    options = ["--no-build-isolation", "--no-cache-dir", "--upgrade", "--target", str(site), str(package)]
    done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def second_version(place: Path) -> Path:
    """The package as the README has it grow."""
    package = Path(shutil.copytree(PACKAGE, place))
    module, project = package / "answer_times.py", package / "pyproject.toml"
    module.write_text(f"{module.read_text()}\n\n{block('python')}")
    old = project.read_text()
    first = 'answer_times = "answer_times:AnswerTimes"\n'
    assert first in old
    project.write_text(old.replace('version = "1.0"', 'version = "2.0"').replace(first, first + block("ini")))
    return package


class Caller:
    """Calls one after another; each has to be answered."""

    def __init__(self) -> None:
        self.answers = 0

    def ask(self, service: RunningService, number: int = 1) -> None:
        with service.sdk() as sdk:
            for _ in range(number):
                said = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
                assert said.choices[0].message.content == "You said: Hi"
                self.answers += 1

    @contextmanager
    def asking(self, service: RunningService) -> Iterator[None]:
        stop, failed = threading.Event(), []

        def work() -> None:
            try:
                while not stop.is_set():
                    self.ask(service)
            except Exception as error:  # noqa: BLE001 - told by the test's own thread
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        assert not failed


def builds(service: RunningService) -> dict[str, dict[str, Any]]:
    listed = service.get("/api/projections").json()["data"]
    return {f"{one['version']}.{one['build']}": one for one in listed if one["name"] == "answer_times"}


def roles(service: RunningService) -> dict[str, str]:
    return {label: one["role"] for label, one in builds(service).items()}


def caught_up(service: RunningService, label: str) -> bool:
    standing = builds(service).get(label)
    return standing is not None and standing["lag_events"] == 0


def counted(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT position, seconds FROM answer_times_answers ORDER BY position").fetchall()


def test_it_is_built_over_all_history_and_grows_while_calls_are_answered(folder: Folder, tmp_path: Path) -> None:
    site, caller = tmp_path / "site", Caller()
    without = folder.serve()
    caller.ask(without, 60)
    install(PACKAGE, site)

    with caller.asking(without), folder.database() as connection:
        first = folder.serve(PYTHONPATH=str(site))
        eventually(lambda: roles(without) == {"1.1": "live"})
    caller.ask(first, 5)
    eventually(lambda: caught_up(first, "1.1"))
    without.stop()
    with folder.database() as connection:
        stored = connection.execute(STORED).fetchall()
        assert counted(connection) == [row[:2] for row in stored]
        report = connection.execute(block("sql").encode()).fetchall()
        times = sorted(row[1] for row in stored)
        assert sum(row[2] for row in report) == len(stored) == caller.answers > 65
        assert {row[1] for row in report} == {MODEL}
        assert all(times[0] <= median <= p95 <= times[-1] for _, _, _, median, p95 in report)

    install(second_version(tmp_path / "package"), site)
    with caller.asking(first), folder.database() as connection:
        second = folder.serve(PYTHONPATH=str(site))
        eventually(lambda: roles(first) == {"1.1": "retired", "2.1": "live"})
    first.stop()
    caller.ask(second, 5)
    eventually(lambda: caught_up(second, "1.1") and caught_up(second, "2.1"))
    with folder.database() as connection:
        stored = connection.execute(STORED).fetchall()
        found = "SELECT position, seconds, output_tokens FROM answer_times_answers ORDER BY position"
        assert connection.execute(found).fetchall() == stored
        assert len(stored) == caller.answers
        # The first version is kept up to date, so that it can be read again.
        told = folder.run("projections", "rollback", "answer_times", "--json", SEND2LLM_URL=second.url)
        assert json.loads(told.stdout)["role"] == "live", told.stderr
        assert counted(connection) == [row[:2] for row in stored]
        with pytest.raises(psycopg.errors.UndefinedColumn):
            connection.execute("SELECT output_tokens FROM answer_times_answers")
    second.assert_quiet()
