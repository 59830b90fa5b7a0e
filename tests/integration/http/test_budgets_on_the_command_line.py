"""Budgets, costs and the audit on the command line, before the real service."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import MODEL, Gateway, serving, settings_for
from send2llm.settings import PriceSettings
from send2llm.testing.budget_stories import hold, overrun
from send2llm.testing.money_log import RIGHT

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMMAND = Path(sys.executable).with_name("send2llm")
LIMITED = {"max_tokens": 20}


@dataclass(frozen=True)
class Said:
    """What a command said."""

    exit_code: int
    output: str
    errors: str

    @property
    def json(self):
        return json.loads(self.output)


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated, provider_url):
    prices = {f"fake/{MODEL}": PriceSettings(input=Decimal(1), output=Decimal(2))}
    async with serving(settings_for(migrated, provider_url, prices=prices)) as gateway:
        yield gateway


async def run(gateway: Gateway, *arguments: str) -> Said:
    """Run a command to its end, while the service goes on."""
    environment = {**os.environ, "SEND2LLM_URL": gateway.address, "TZ": "UTC"}
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    output, errors = await process.communicate()
    return Said(process.returncode or 0, output.decode(), errors.decode())


async def test_a_budget_from_its_first_day_to_its_last(gateway):
    made = await run(
        gateway, "budget", "set", "fake", "--limit", "12.50", "--zone", "Europe/Berlin", "--threshold", "90"
    )
    assert made.exit_code == 0, made.errors
    assert "12.5" in made.output
    assert "fake · month" in made.errors

    again = await run(gateway, "budget", "set", "fake", "--limit", "20", "--zone", "Europe/Berlin", "--json")
    assert (again.json["limit_usd"], again.json["thresholds"]) == ("20", [90])

    other = await run(gateway, "budget", "set", f"fake/{MODEL}", "--limit", "3", "--period", "total")
    assert other.exit_code == 0, other.errors
    listed = await run(gateway, "budget", "list")
    assert [line.split()[1] for line in listed.output.splitlines()[1:]] == ["fake", f"fake/{MODEL}"]

    await gateway.ask(**LIMITED)
    shown = await run(gateway, "budget", "show", "fake", "--json")
    assert Decimal(shown.json["running"]["lent_usd"]) > 0
    explained = await run(gateway, "budget", "explain", "fake", "--figure", "lent")
    assert "budget.allowance_granted" in explained.output
    assert "lent in" in explained.errors

    retired = await run(gateway, "budget", "retire", "fake", "--reason", "over")
    assert "limits nothing any more" in retired.errors
    assert len((await run(gateway, "budget", "list", "--json")).json["data"]) == 1


async def test_a_budget_for_whoever_asks(gateway):
    made = await run(gateway, "budget", "set", "fake", "--tenant", "acme", "--limit", "1", "--json")
    assert made.json["scope"] == {"provider": "fake", "tenant": "acme"}
    whole = await run(gateway, "budget", "set", "service", "--limit", "1", "--json")
    assert whole.json["scope"] == {}


async def test_what_there_is_none_of_is_told(gateway):
    assert "There is no budget yet" in (await run(gateway, "budget", "list")).errors
    for command in ("show", "explain", "retire"):
        said = await run(gateway, "budget", command, "nobody")
        assert (said.exit_code, "No budget is for nobody" in said.errors) == (1, True)
    wrong = await run(gateway, "budget", "set", "fake", "--limit", "nothing")
    assert wrong.exit_code == 1
    assert "limit_usd" in wrong.errors


async def test_costs(gateway):
    assert "Nothing was spent" in (await run(gateway, "costs")).errors
    await gateway.ask(**LIMITED)
    with gateway.projecting():
        await gateway.history_is_complete()
    table = (await run(gateway, "costs")).output.splitlines()
    assert table[0].split()[:4] == ["provider", "model", "calls", "attempts"]
    assert table[1].split()[:4] == ["fake", MODEL, "1", "1"]
    (line,) = (await run(gateway, "costs", "--by", "day", "--by", "tenant", "--json")).json["data"]
    assert line["tenant"] == "default"
    (line,) = (await run(gateway, "costs", "--by", "actor", "--json")).json["data"]
    assert len((await run(gateway, "costs", "--actor", line["actor"], "--json")).json["data"]) == 1
    assert "Nothing was spent" in (await run(gateway, "costs", "--actor", "nobody")).errors


async def test_the_audit_exits_with_what_it_found(gateway):
    await run(gateway, "budget", "set", "fake", "--limit", "1")
    await gateway.ask(**LIMITED)
    said = await run(gateway, "audit", "money")
    assert (said.exit_code, "Everything agrees." in said.errors) == (0, True)
    assert (await run(gateway, "audit", "money", "--json")).json["agrees"]


async def test_the_audit_of_a_wrong_log_exits_with_1_and_names_the_place(gateway, writer):
    log = RIGHT.changed("settled", spent_usd=Decimal("0.7"), returned_usd=Decimal("3.3"))
    writer.store(log.stored(writer.codec))
    stream, position = log.place("settled")

    told = (await gateway.api.get("/api/audit/money")).json()
    assert not told["agrees"]
    assert told["difference_count"] == 1
    (difference,) = told["differences"]
    assert (difference["stream"], difference["position"]) == (stream, position)
    assert (difference["expected_usd"], difference["found_usd"]) == ("0.75", "0.7")

    said = await run(gateway, "audit", "money")
    assert said.exit_code == 1
    assert f"{stream} at {position}: what an allowance spent: $0.7, which should be $0.75" in said.errors
    assert "Differences: 1." in said.errors
    as_json = await run(gateway, "audit", "money", "--json")
    assert (as_json.exit_code, as_json.json) == (1, told)


async def test_the_audit_of_a_right_log_tells_what_went_beyond_holds(gateway, writer):
    log = RIGHT.changed("answered", cost_usd=Decimal("1.25")).after(
        "answered", over=overrun(1, "0.25", hold(1).hold_id)
    )
    log = log.changed("settled", spent_usd=Decimal("1.75"), returned_usd=Decimal("2.5"))
    log = log.changed("closed", settled_usd=Decimal("1.75"), overrun_usd=Decimal("0.25"))
    writer.store(log.stored(writer.codec))
    said = await run(gateway, "audit", "money")
    assert (said.exit_code, "Everything agrees." in said.errors) == (0, True), said.errors
    assert "a provider billed $0.25 more than was held" in said.errors
    assert "Closed periods: 1, with $1.75 settled." in said.errors
