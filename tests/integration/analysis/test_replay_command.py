"""``send2llm replay`` as its users have it: from the event store and from an export."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psycopg
import pyarrow.parquet as pq
import pytest
from stored_calls import EVENING, KEYS, Asking, seal_all

from send2llm.domain.completion import Usage
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter

PRICES = '[prices."echo/parrot"]\ninput = 1\noutput = 2\n[prices."other/raven"]\ninput = "10"\noutput = "20"\n'
CONFIGURATION = """
[providers.house]
base_url = "http://127.0.0.1:9/v1"
models = ["small", "large"]

[routes]
answers = ["house/large", "house/small", "nobody-knows"]

[prices."house/large"]
input = 10
output = 20

[prices."house/small"]
input = 1
output = 40
"""
KILLED_AT_THE_PRICES = """
import os, signal, sys
from send2llm.interfaces.cli import main

def hook(name, arguments):
    if name == "open" and str(arguments[0]).endswith("prices.toml"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
main()
"""
CUT_OFF = """
import psycopg
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.interfaces.cli import main

open_log = StoredLog.__init__

def cut_off(log, database, keys):
    open_log(log, database, keys)
    with psycopg.connect(database.dsn, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

StoredLog.__init__ = cut_off
main()
"""
CAPS = '[[budgets]]\nprovider = "echo"\nlimit_usd = "0.0002"\nperiod = "day"\n'


MAIN = "from send2llm.interfaces.cli import main; main()"


class CommandLine:
    """Runs commands with a database and a folder of their own."""

    def __init__(self, database: ConnectionInfo, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "SEND2LLM_DATABASE_URL": database.dsn,
            "SEND2LLM_DATA_DIR": str(folder),
            "TMPDIR": str(folder / "passing"),
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }
        (folder / "passing").mkdir(exist_ok=True)

    def run(self, *arguments: str, code: int = 0, program: str = MAIN) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)


WITH_BOTH_LOGS = pytest.mark.parametrize("writer", [None, KEYS], ids=["in plain", "encrypted"], indirect=True)


@pytest.fixture
def writer(request: pytest.FixtureRequest, migrated: ConnectionInfo) -> Iterator[EventWriter]:
    """Encrypted, as usual: a replay reads no texts, so that few tests need a log in plain as well."""
    with EventWriter(migrated, getattr(request, "param", KEYS)) as writer:
        yield writer


@pytest.fixture
def cli(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> CommandLine:
    for end in ("received", "received", "retried", "failed", "written off"):
        ask("the same question", end)
    ask("another question", at=EVENING.replace(day=25), tenant="other")
    (tmp_path / "prices.toml").write_text(PRICES)
    (tmp_path / "caps.toml").write_text(CAPS)
    (tmp_path / "names.toml").write_text("[prices.large]\ninput = 1\noutput = 2\n")
    return CommandLine(migrated, tmp_path)


@pytest.mark.timeout(300)
@WITH_BOTH_LOGS
def test_the_store_and_an_export_say_the_same(cli: CommandLine) -> None:
    cli.run("export", "history")
    for command in (
        ["prices", "--prices", "prices.toml"],
        ["prices", "--prices", "prices.toml", "--by", "day", "--tenant", "other"],
        ["route", "--to", "other/raven", "--prices", "prices.toml", "--tokens", "0.9-1.3"],
        ["budgets", "caps.toml"],
        ["budgets", "caps.toml", "--rule", "costs", "--by", "tenant", "--since", "2026-11-26"],
        ["cache", "--seconds", "600"],
    ):
        of_the_store = cli.json("replay", *command)
        assert of_the_store == cli.json("replay", *command, "--export", "history"), command
        assert of_the_store["data"], command


def test_prices_are_those_of_the_file(cli: CommandLine) -> None:
    found = cli.json("replay", "prices", "--prices", "prices.toml")
    lines = {line["model"]: line for line in found["data"]}
    assert (lines["parrot"]["calls"], lines["parrot"]["kept"]) == (5, 2)
    assert lines["parrot"]["recorded_usd"] == "0.500369"
    assert lines["parrot"]["replayed_usd"] == "0.500078"
    assert (lines["raven"]["recorded_usd"], lines["raven"]["replayed_usd"]) == ("0.000124", "0.000261")


@WITH_BOTH_LOGS
def test_a_key_that_nobody_can_open_stops_no_replay_and_no_export(cli: CommandLine, migrated: ConnectionInfo) -> None:
    found = cli.json("replay", "prices", "--prices", "prices.toml")
    with psycopg.connect(migrated.dsn) as connection:
        broken = connection.execute(
            "UPDATE conversation_keys SET wrapped = set_byte(wrapped, 9, get_byte(wrapped, 9) # 255)"
        ).rowcount
    cli.environment["SEND2LLM_ENCRYPTION__KEY"] = "00" * 32
    assert cli.json("replay", "prices", "--prices", "prices.toml") == found
    assert cli.json("replay", "cache", "--seconds", "600")["data"]
    told = cli.run("export", "history").stderr
    assert (f"cannot be decrypted: {broken}." in told) == (broken > 0)


def test_prices_that_are_of_no_call_are_told(cli: CommandLine) -> None:
    """They may be misspelt; of a route only those of the models in it are asked for."""
    (cli.folder / "prices.toml").write_text(PRICES.replace("parrot", "parot"))
    told = "In prices.toml, and of no call that was priced: echo/parot.\n"
    assert told in cli.run("replay", "prices", "--prices", "prices.toml").stderr
    assert told not in cli.run("replay", "route", "--to", "other/raven", "--prices", "prices.toml").stderr


def test_budgets_that_cover_no_call_are_told(cli: CommandLine) -> None:
    (cli.folder / "caps.toml").write_text(CAPS.replace("echo", "ehco"))
    shown = cli.run("replay", "budgets", "caps.toml")
    assert shown.stdout.split()[-5:-2] == ["all", "6", "0"]
    assert "No call is covered by provider=ehco: is it what calls name?\n" in shown.stderr


def test_moments_are_in_the_time_zone_of_the_reader(cli: CommandLine) -> None:
    (cli.folder / "caps.toml").write_text('[[budgets]]\nlimit_usd = "0"\nperiod = "day"\n')
    cli.environment["TZ"] = "Asia/Tokyo"
    assert "2026-11-27 08:59:00" in cli.run("replay", "budgets", "caps.toml").stdout
    assert cli.json("replay", "budgets", "caps.toml")["data"][1]["first_refusal"] == "2026-11-26T23:59:00+00:00"


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


def test_prices_are_those_of_a_recorded_version(cli: CommandLine, ask: Asking) -> None:
    """12 tokens in and 7 out for $0.000123 is one equation and no price; others tell that it is $5 and $9 a million."""
    found = cli.json("replay", "prices", "--price-version", "test 1")
    assert (found["total"]["left_out"], found["total"]["kept"]) == (4, 2)
    for usage, cost in ((Usage(100, 10), "0.00059"), (Usage(7, 12), "0.000143"), (Usage(1, 1), "0.000014")):
        ask("a question of another length", "charged", usage=usage, cost_usd=Decimal(cost))
    unknown = {"usage": Usage(1000, 100), "cost_usd": None}
    ask("a question at an unknown price", "charged", at=EVENING.replace(day=25), **unknown)
    found = cli.json("replay", "prices", "--price-version", "test 1", "--until", "2026-11-26")
    assert (found["total"]["left_out"], found["total"]["recorded_usd"]) == (0, "0.000123")
    assert found["total"]["replayed_usd"] == "0.006023"


def test_prices_are_those_of_a_day(cli: CommandLine, ask: Asking) -> None:
    """The catalogue knows both prices of a model that became cheaper for long requests on 2026-03-13."""
    long = Usage(500_000, 1_000)
    ask("a long question", "charged", usage=long, cost_usd=Decimal(1), provider="anthropic", model="claude-sonnet-4-6")
    lines = [
        cli.json("replay", "prices", "--prices-at", day, "--provider", "anthropic")["total"]["replayed_usd"]
        for day in ("2026-03-12", "2026-03-13")
    ]
    assert lines == ["3.0225", "1.515"]


def test_another_route_has_several_candidates(cli: CommandLine) -> None:
    """12 tokens in, 7 out: $0.00026 at the large one, $0.000292 at the small one."""
    (cli.folder / "send2llm.toml").write_text(CONFIGURATION)
    command = ("replay", "route", "--tokens", "1", "--by", "tenant", "--tenant", "default", "--to")
    cheapest = cli.json(*command, "answers", "--strategy", "cheapest")
    assert [(line["to"], line["calls"], line["high_usd"]) for line in cheapest["data"]] == [
        ("as recorded", 2, "0.5"),
        ("house/large", 3, "0.000781"),
    ]
    assert any("no price is known: house/nobody-knows" in note for note in cheapest["notes"])
    first = cli.json(*command, "house/small", "--to", "house/large")
    assert [(line["to"], line["high_usd"]) for line in first["data"]][1] == ("house/small", "0.000877")


def test_a_replay_that_was_killed_leaves_nothing(cli: CommandLine) -> None:
    cli.run("replay", "prices", "--prices", "prices.toml", code=-9, program=KILLED_AT_THE_PRICES)
    assert list((cli.folder / "passing").iterdir()) == []


@pytest.mark.parametrize(
    "command", [["export", "history"], ["replay", "prices"], ["replay", "cache", "--seconds", "3"]], ids=" ".join
)
def test_a_database_that_goes_away_in_the_middle_is_told_in_one_line(cli: CommandLine, command: list[str]) -> None:
    failed = cli.run(*command, code=1, program=CUT_OFF)
    assert failed.stderr.startswith("Error: The database does not answer (")
    assert failed.stderr.endswith("an export goes on where it was.\n")
    assert failed.stderr.count("\n") == 1
    cli.run(*command)


def test_what_lies_between_the_days_of_an_export_is_told(cli: CommandLine) -> None:
    cli.run("export", "history")
    (cli.folder / "history" / "calls" / "day=foo").mkdir()
    failed = cli.run("replay", "prices", "--export", "history", code=1)
    assert "day=foo is no day of an export" in failed.stderr


def test_where_no_export_can_be_written_is_told(cli: CommandLine) -> None:
    failed = cli.run("export", "/proc/x", code=1)
    assert "/proc/x" in failed.stderr
    assert "name another folder" in failed.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["prices", "--export", "nowhere"], "is no export"),
        (["prices", "--output", "out.xlsx"], "has to end with"),
        (["prices", "--prices", "caps.toml"], "has to hold tables"),
        (["prices", "--prices", "names.toml"], "[prices.'large'] is the price of no model: name it provider/model"),
        (["prices", "--by", "colour"], "is not one of"),
        (["route", "--to", "no/such"], "no price of no/such"),
        (["route", "--to", "other/raven", "--strategy", "luck"], "--strategy is first or cheapest"),
        (["prices", "--price-version", "test 2"], "known are 'genai-prices "),
        (["prices", "--price-version", "test 1", "--prices", "prices.toml"], "choose one of them"),
        (["budgets", "prices.toml"], "has to hold tables"),
        (["cache", "--seconds", "1e30"], "is no lifetime"),
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
