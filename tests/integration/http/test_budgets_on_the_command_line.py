"""Budgets, costs and the audit on the command line, before the real service."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from command_line import run

from gateway import MODEL, serving, settings_for
from send2llm.settings import PriceSettings
from send2llm.testing.budget_stories import hold, overrun
from send2llm.testing.money_log import RIGHT

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITED = {"max_tokens": 20}


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated, provider_url):
    prices = {f"fake/{MODEL}": PriceSettings(input=Decimal(1), output=Decimal(2))}
    async with serving(settings_for(migrated, provider_url, prices=prices)) as gateway:
        yield gateway


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
    granted = explained.output.split("budget.allowance_granted")[0].split()[-3]
    before = await run(gateway, "budget", "explain", "fake", "--figure", "lent", "--at", str(int(granted) - 1))
    assert "budget.allowance_granted" not in before.output
    assert f"position {int(granted) - 1} of the log" in before.errors

    retired = await run(gateway, "budget", "retire", "fake", "--reason", "over")
    assert "limits nothing any more" in retired.errors
    assert len((await run(gateway, "budget", "list", "--json")).json["data"]) == 1


async def test_a_budget_for_whoever_asks(gateway):
    made = await run(gateway, "budget", "set", "fake", "--tenant", "acme", "--limit", "1", "--json")
    assert made.json["scope"] == {"provider": "fake", "tenant": "acme"}
    whole = await run(gateway, "budget", "set", "service", "--limit", "1", "--json")
    assert whole.json["scope"] == {}


async def test_a_budget_keeps_its_time_zone(gateway):
    await run(gateway, "budget", "set", "fake", "--limit", "1", "--zone", "Europe/Berlin")
    again = await run(gateway, "budget", "set", "fake", "--limit", "2", "--json")
    assert (again.json["limit_usd"], again.json["time_zone"]) == ("2", "Europe/Berlin")
    assert "Europe/Berlin" in (await run(gateway, "budget", "list")).output

    other = await run(gateway, "budget", "set", "fake", "--limit", "3", "--zone", "Asia/Tokyo", "--json")
    torn = await run(gateway, "budget", "set", "fake", "--limit", "4")
    assert torn.exit_code == 1
    assert all(one.json["id"] in torn.errors for one in (again, other))
    assert "--zone" in torn.errors
    assert len((await run(gateway, "budget", "list", "--json")).json["data"]) == 2


async def test_a_budget_is_found_by_all_that_sets_it_apart(gateway):
    ids = {}
    for period in ("day", "month"):
        for scope in (["fake"], ["fake", "--tenant", "acme"]):
            made = await run(gateway, "budget", "set", *scope, "--limit", "1", "--period", period, "--json")
            ids[period, len(scope)] = made.json["id"]
    named = ("fake", "--tenant", "acme", "--period-kind", "day", "--zone", "UTC")
    assert (await run(gateway, "budget", "show", *named, "--json")).json["id"] == ids["day", 3]
    explained = await run(gateway, "budget", "explain", *named, "--figure", "left", "--json")
    assert (explained.json["budget_id"], explained.json["usd"]) == (ids["day", 3], "1")
    several = await run(gateway, "budget", "show", "fake", "--tenant", "acme")
    assert several.exit_code == 1
    assert ids["day", 3] in several.errors
    assert ids["month", 3] in several.errors
    assert ids["day", 1] not in several.errors
    assert "leave the other options out" in (await run(gateway, "budget", "show", ids["day", 3], *named[1:])).errors
    assert (await run(gateway, "budget", "retire", *named)).exit_code == 0
    assert len((await run(gateway, "budget", "list", "--json")).json["data"]) == 3


async def test_a_budget_without_a_call_has_its_figures(gateway):
    await run(gateway, "budget", "set", "fake", "--limit", "5", "--zone", "Europe/Berlin", "--carry-over")
    shown = await run(gateway, "budget", "show", "fake")
    assert "spent" in shown.output
    assert "00:00:00 Europe/Berlin" in shown.errors
    assert "what is left over is carried over · thresholds 50%, 80%, 100%" in shown.errors
    explained = await run(gateway, "budget", "explain", "fake")
    assert (explained.exit_code, explained.errors.strip().endswith(": $0")) == (0, True)


async def test_a_call_that_was_too_large_does_not_exhaust_a_budget(gateway):
    await run(gateway, "budget", "set", "fake", "--limit", "0.002")
    assert (await gateway.ask(max_tokens=20, messages=[{"role": "user", "content": "x" * 5_000}])).status_code == 429
    shown = await run(gateway, "budget", "show", "fake")
    assert "refused a call that needed $0.006" in shown.errors
    assert "exhausted" not in shown.errors


async def test_a_provider_that_is_none_is_told_of(gateway):
    made = await run(gateway, "budget", "set", "opnai", "--limit", "1", "--json")
    assert made.exit_code == 0
    assert "No provider opnai is configured here (fake)" in made.errors
    assert made.json["warnings"]
    assert (await run(gateway, "budget", "set", "fake", "--limit", "1", "--json")).json["warnings"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["set", "", "--limit", "1"], "no scope"),
        (["set", "fake", "--tenant", "", "--limit", "1"], "--tenant names nobody"),
        (["set", "fake", "--limit", "1_000"], "--limit: a number is written in plain decimal digits"),
        (["set", "fake", "--limit=-5"], "more than 0 and at most"),
        (["set", "fake", "--limit", "0"], "more than 0 and at most"),
        (["set", "fake", "--limit", "1", "--period", "year"], "--period: "),
        (["set", "fake", "--limit", "1", "--threshold", "101"], "from 1 to 100"),
        (["set", "fake", "--limit", "1", "--zone", "posixrules"], "no time zone 'posixrules'"),
        (["set", "fake", "--tenant", "a b", "--limit", "1"], "cannot be a tenant"),
    ],
)
async def test_a_budget_that_cannot_be_is_refused_in_words_of_the_command(gateway, arguments, says):
    said = await run(gateway, "budget", *arguments)
    assert (said.exit_code, says in said.errors) == (1, True), said.errors
    assert "limit_usd" not in said.errors
    assert (await run(gateway, "budget", "list", "--json")).json["data"] == []


async def test_what_there_is_none_of_is_told(gateway):
    assert "There is no budget yet" in (await run(gateway, "budget", "list")).errors
    for command in ("show", "explain", "retire"):
        said = await run(gateway, "budget", command, "nobody")
        assert (said.exit_code, "No budget is for nobody" in said.errors) == (1, True)
    wrong = await run(gateway, "budget", "set", "fake", "--limit", "nothing")
    assert wrong.exit_code == 1
    assert "--limit: a number" in wrong.errors


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


async def test_a_budget_as_it_was(gateway):
    made = (await run(gateway, "budget", "set", "fake", "--limit", "1", "--json")).json
    await run(gateway, "budget", "set", "fake", "--limit", "2")
    (defined, *_) = (await gateway.api.get(f"/api/budgets/{made['id']}/events")).json()["data"]
    for at in (str(defined["position"]), defined["occurred_at"]):
        shown = await run(gateway, "budget", "show", "fake", "--at", at)
        figures = dict(line.rsplit(None, 1) for line in shown.output.splitlines()[1:])
        assert (figures["limit"], figures["left"], figures["held"]) == ("$1", "$1", "$0")
        named = f"position {defined['position']} of the log."
        assert named in shown.errors
        assert named in (await run(gateway, "budget", "list", "--at", at)).errors
        assert named in (await run(gateway, "audit", "money", "--at", at)).errors
    early = await run(gateway, "budget", "show", "fake", "--at", "2020-01-01")
    assert (early.exit_code, "no budget" in early.errors.lower()) == (1, True)


async def test_no_budget_at_a_moment_is_not_no_budget(gateway):
    await gateway.ask()
    await run(gateway, "budget", "set", "fake", "--limit", "1")
    said = (await run(gateway, "budget", "list", "--at", "1")).errors
    assert "There was no budget then." in said
    assert "position 1 of the log" in said
    assert "Set one" not in said


async def test_usage(gateway):
    assert "Nothing was asked" in (await run(gateway, "usage")).errors
    await gateway.ask(**LIMITED)
    await run(gateway, "budget", "set", "fake", "--limit", "0.000000000001")
    await gateway.ask(**LIMITED)
    with gateway.projecting():
        await gateway.history_is_complete()
    said = await run(gateway, "usage")
    table = said.output.splitlines()
    assert table[0].split()[:5] == ["provider", "model", "calls", "attempts", "answered"]
    assert table[1].split()[:7] == ["fake", MODEL, "1", "1", "1", "0", "1"]
    assert "refused: budget_exceeded 1" in said.errors
    (line,) = (await run(gateway, "usage", "--by", "hour", "--zone", "Asia/Tokyo", "--json")).json["data"]
    assert line["hour"].endswith(":00:00+09:00")
    assert line["duration"]["count"] == 1
    (costs,) = (await run(gateway, "costs", "--by", "hour", "--zone", "Asia/Tokyo", "--json")).json["data"]
    assert (costs["hour"], costs["cost_usd"]) == (line["hour"], line["cost_usd"])
    wrong = await run(gateway, "usage", "--since", "2026-11-23T12:01")
    assert (wrong.exit_code, "--since: " in wrong.errors) == (1, True)


async def test_a_date_begins_at_midnight_in_the_zone(gateway):
    await gateway.ask(**LIMITED)
    with gateway.projecting():
        await gateway.history_is_complete()
    today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
    for since, found in ((today - timedelta(days=1), 1), (today + timedelta(days=2), 0)):
        said = await run(gateway, "costs", "--since", str(since), "--zone", "Asia/Tokyo", "--json")
        assert len(said.json["data"]) == found
    assert (await run(gateway, "costs", "--until", f"{today}T00:00", "--zone", "Nowhere")).exit_code == 1
    wrong = await run(gateway, "costs", "--since", "yesterday")
    assert (wrong.exit_code, "--since: 'yesterday' is no time" in wrong.errors) == (1, True)
    unknown = await run(gateway, "costs", "--by", "second")
    assert (unknown.exit_code, "--by: " in unknown.errors) == (1, True)


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
