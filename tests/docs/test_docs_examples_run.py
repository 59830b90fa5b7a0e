"""The examples do what their pages say.

A ``python`` block is run as it stands, with the service's address put in; one marked ``part-of FILE`` is in that
file, word by word.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import duckdb
import psycopg
import pytest
from pages import ROOT, Block, blocks, named, rows, section
from running_service import MODEL, RunningService

from send2llm.testing.eventually import eventually

ADDRESS = "http://127.0.0.1:8484"
PYTHON = [block for block in blocks("python") if not block.run_by]
PART_OF = "part-of "
QUESTION = {
    "model": f"local/{MODEL}",
    "messages": [{"role": "user", "content": "Is every header listed?"}],
}


PROGRAM = (sys.executable, "-c", "from send2llm.interfaces.cli import main; main()")


def _run(command: list[str], service: RunningService, home: Path) -> str:
    completed = subprocess.run(
        command, env=service.environment(home), cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


@pytest.mark.parametrize("block", [block for block in PYTHON if not block.note], ids=str)
def test_python_runs(block: Block, service: RunningService, tmp_path: Path) -> None:
    _ask(service, "something that happened")
    _run([sys.executable, "-W", "error", "-c", block.text.replace(ADDRESS, service.address)], service, tmp_path)


@pytest.mark.parametrize("block", [b for b in blocks("python", "sql", "ini", "console") if b.run_by], ids=str)
def test_what_others_run_is_known_to_them(block: Block) -> None:
    assert block.run_by is not None
    assert f"{block.page.parent.name}" in block.run_by.read_text("utf-8")


@pytest.mark.parametrize("block", [block for block in PYTHON if block.note], ids=str)
def test_python_is_part_of_a_file(block: Block) -> None:
    assert block.note.startswith(PART_OF)
    assert block.text in (ROOT / block.note.removeprefix(PART_OF)).read_text("utf-8")


def test_the_sdk_example_goes_on_with_its_conversation(service: RunningService, tmp_path: Path) -> None:
    shown = _run([sys.executable, str(ROOT / "examples" / "openai_sdk.py"), service.address], service, tmp_path)
    assert shown.splitlines()[0] == f"local/{MODEL}: Hello!"
    assert [line.split()[1] for line in shown.splitlines()[2:]] == [
        "conversation.started",
        *["conversation.message_added", "conversation.completion_requested", "conversation.completion_received"] * 2,
    ]


def test_the_projection_example_counts_every_answer(service: RunningService, tmp_path: Path) -> None:
    _ask(service)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "my_projection.py")],
        env=service.environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        with psycopg.connect(service.database.dsn, autocommit=True) as connection:
            eventually(lambda: _counted(connection) == _answers(connection) > 0, 60)
    finally:
        process.send_signal(2)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors.decode()


def _counted(connection: psycopg.Connection) -> int:
    table = connection.execute("SELECT to_regclass('answers_by_model_models')").fetchone()
    if table == (None,):
        return 0
    row = connection.execute("SELECT coalesce(sum(answers), 0) FROM answers_by_model_models").fetchone()
    return int(row[0]) if row else 0


def _answers(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT count(*) FROM stored_events WHERE topic = 'conversation.completion_received'"
    ).fetchone()
    return int(row[0]) if row else 0


def _ask(service: RunningService, key: str = "none") -> dict[str, str]:
    """The headers of an answer, in lower case."""
    headers = {"content-type": "application/json", "idempotency-key": key}
    request = Request(f"{service.address}/v1/chat/completions", json.dumps(QUESTION).encode(), headers)
    with urlopen(request) as response:
        return {name.lower(): value for name, value in response.headers.items()}


def test_every_header_of_an_answer_is_listed(service: RunningService) -> None:
    _ask(service, "headers")
    given = {name for name in _ask(service, "headers") if name.startswith("x-")}
    table = section(ROOT / "docs" / "http.md", "Headers").split("Given with")[1]
    listed = {name for row in rows(table)[1:] for name in named(row[0])}
    assert listed - {"x-send2llm-budget-left-usd"} == given  # there is no budget here


def test_the_answer_in_the_readme_has_the_headers_of_a_real_one(service: RunningService) -> None:
    shown = re.findall(r"^(x-[\w-]+): ", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert set(shown) == {name for name in _ask(service, "readme") if name.startswith("x-")}


SQL = [block for block in blocks("sql") if not block.run_by]


@pytest.mark.parametrize("block", [block for block in SQL if not block.note], ids=str)
def test_sql_runs(block: Block, service: RunningService) -> None:
    with psycopg.connect(service.database.dsn) as connection:
        if "answers_by_model" in block.text:
            connection.execute("CREATE TEMPORARY TABLE answers_by_model_models (model text, answers bigint)")
        connection.execute(block.text.encode())


@pytest.mark.parametrize("block", [block for block in SQL if block.note], ids=str)
def test_sql_runs_on_an_export(
    block: Block, service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert block.note == "duckdb"
    _ask(service)
    _run([*PROGRAM, "export", "history"], service, tmp_path)
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        connection.execute(block.text).fetchall()


def test_the_commands_of_the_analysis_run(service: RunningService, tmp_path: Path) -> None:
    _ask(service)
    page = ROOT / "docs" / "analysis.md"
    for block in blocks("toml"):
        if block.page == page:
            (tmp_path / block.note).write_text(block.text)
    lines = [line for block in blocks("console") if block.page == page for line in block.text.splitlines()]
    commands = [shlex.split(line)[2:] for line in lines if line.startswith("$ send2llm ")]
    assert {command[0] for command in commands} == {"export", "replay"}
    for command in commands:
        _run([*PROGRAM, *command], service, tmp_path)
    found = json.loads(_run([*PROGRAM, "replay", "prices", "--export", "history", "--json"], service, tmp_path))
    assert found["total"]["calls"] >= 1


def test_the_tour_of_the_command_line_runs(service: RunningService, tmp_path: Path) -> None:
    assert _run([*PROGRAM, "send", "--max-tokens", "40", "Say hello."], service, tmp_path) == "Hello!\n"
    assert _run([*PROGRAM, "send", "--continue", "Now in French."], service, tmp_path) == "Hello!\n"
    listed = json.loads(_run([*PROGRAM, "events", "--limit", "7", "--json"], service, tmp_path).splitlines()[0])
    conversation = listed["stream"].removeprefix("conversation-")
    then = json.loads(_run([*PROGRAM, "history", conversation, "--at", "3", "--json"], service, tmp_path))
    assert (then["state"], len(then["messages"])) == ("awaiting", 1)
    for command in ("history", "projections", "doctor"):
        assert _run([*PROGRAM, command], service, tmp_path)
