"""``send2llm replay`` as its users have it: from the event store and from an export."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from stored_calls import EVENING, Asking, seal_all

from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo

PRICES = '[prices."echo/parrot"]\ninput = 1\noutput = 2\n[prices."other/raven"]\ninput = "10"\noutput = "20"\n'
CAPS = '[[budgets]]\nprovider = "echo"\nlimit_usd = "0.0002"\nperiod = "day"\n'


class CommandLine:
    """Runs commands with a database and a folder of their own."""

    def __init__(self, database: ConnectionInfo, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "SEND2LLM_DATABASE_URL": database.dsn,
            "SEND2LLM_DATA_DIR": str(folder),
        }

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from send2llm.interfaces.cli import main; main()", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def cli(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> CommandLine:
    for end in ("received", "received", "retried", "failed", "written off"):
        ask("the same question", end)
    ask("another question", at=EVENING.replace(day=25), tenant="other")
    (tmp_path / "prices.toml").write_text(PRICES)
    (tmp_path / "caps.toml").write_text(CAPS)
    return CommandLine(migrated, tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        ["prices", "--prices", "prices.toml"],
        ["prices", "--prices", "prices.toml", "--by", "day", "--tenant", "other"],
        ["route", "--to", "other/raven", "--prices", "prices.toml", "--tokens", "0.9-1.3"],
        ["budgets", "caps.toml"],
        ["budgets", "caps.toml", "--rule", "costs", "--by", "tenant", "--since", "2026-11-26"],
        ["cache", "--seconds", "600"],
    ],
    ids=" ".join,
)
def test_the_store_and_an_export_say_the_same(cli: CommandLine, command: list[str]) -> None:
    cli.run("export", "history")
    of_the_store = cli.json("replay", *command)
    assert of_the_store == cli.json("replay", *command, "--export", "history")
    assert of_the_store["data"]


def test_prices_are_those_of_the_file(cli: CommandLine) -> None:
    found = cli.json("replay", "prices", "--prices", "prices.toml")
    lines = {line["model"]: line for line in found["data"]}
    assert (lines["parrot"]["calls"], lines["parrot"]["kept"]) == (5, 2)
    assert lines["parrot"]["recorded_usd"] == "0.500369"
    assert lines["parrot"]["replayed_usd"] == "0.500078"
    assert (lines["raven"]["recorded_usd"], lines["raven"]["replayed_usd"]) == ("0.000124", "0.000261")


def test_it_is_written_in_every_format(cli: CommandLine) -> None:
    names = ["out.csv", "out.json", "out.parquet", "out.svg", "out.html"]
    options = [word for name in names for word in ("--output", name)]
    shown = cli.run("replay", "prices", "--prices", "prices.toml", *options)
    assert shown.stdout.splitlines()[-1].split()[:2] == ["all", "6"]
    assert "left_out" in shown.stderr
    found = json.loads((cli.folder / "out.json").read_text())["data"]
    with (cli.folder / "out.csv").open() as lines:
        assert [line["replayed_usd"] for line in csv.DictReader(lines)] == [line["replayed_usd"] for line in found]
    assert pq.read_table(cli.folder / "out.parquet").num_rows == len(found)
    assert len(ElementTree.parse(cli.folder / "out.svg").findall(".//{*}rect")) == 1 + 2 + 2 * len(found)
    assert "What failed attempts were charged" in (cli.folder / "out.html").read_text()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["prices", "--export", "nowhere"], "is no export"),
        (["prices", "--output", "out.xlsx"], "has to end with"),
        (["prices", "--prices", "caps.toml"], "has to hold tables"),
        (["prices", "--by", "colour"], "is not one of"),
        (["route", "--to", "no/such"], "no price of no/such"),
        (["budgets", "prices.toml"], "has to hold tables"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else None,
)
def test_what_is_wrong_is_said(cli: CommandLine, command: list[str], said: str) -> None:
    failed = cli.run("replay", *command, code=1)
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr


def test_an_export_is_verified_without_a_database(cli: CommandLine, migrated: ConnectionInfo, tmp_path: Path) -> None:
    key, other = SealingKey.generate(), SealingKey.generate()
    seal_all(migrated, key)
    cli.run("export", "history")
    elsewhere = CommandLine(ConnectionInfo(host=str(tmp_path), dbname="none", user="nobody"), tmp_path)

    found = elsewhere.json("audit", "verify", "--export", "history", "--key", key.public.hex())

    assert (found["intact"], found["unsealed"]) == (True, 0)
    failed = elsewhere.run("audit", "verify", "--export", "history", "--key", other.public.hex(), code=1)
    assert "a key that is not trusted" in failed.stderr
    shutil.rmtree(tmp_path / "history" / "seals")
    failed = elsewhere.run("audit", "verify", "--export", "history", "--key", key.public.hex(), code=1)
    assert "Nothing is sealed" in failed.stderr


@pytest.mark.parametrize("document", ["3", '{"data": 3}', '{"data": [{"number": -1}]}', "[]", "{"])
def test_what_is_no_kept_seal_is_said(cli: CommandLine, tmp_path: Path, document: str) -> None:
    (tmp_path / "kept.json").write_text(document)
    failed = cli.run("audit", "verify", "--kept", "kept.json", code=1)
    assert "kept.json" in failed.stderr
    assert "--json" in failed.stderr or "name another file" in failed.stderr


def test_what_is_no_key_is_said(cli: CommandLine) -> None:
    assert "--key holds no key" in cli.run("audit", "verify", "--key", "abc", code=1).stderr
