"""Budgets, costs and the audit over HTTP: explained, and as they were."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from budget_calls import LIMITED, all_home, books, define

from gateway import MODEL

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestLookingBack:
    @pytest.mark.parametrize(
        ("figure", "usd"), [("limit", "2"), ("left", "2"), ("settled", "0"), ("lent", "0"), ("held", "0")]
    )
    async def test_before_the_first_call_there_is_only_the_limit(self, gateway, figure, usd):
        made = await define(gateway)
        await gateway.api.patch(f"/api/budgets/{made['id']}", json={"limit_usd": "2"})
        told = (await gateway.api.get(f"/api/budgets/{made['id']}/explain?figure={figure}")).json()
        assert (told["usd"], told["period"]) == (usd, made["running"]["key"])
        assert [one["amount_usd"] for one in told["data"]] == (["1", "1"] if usd == "2" else [])

    @pytest.mark.parametrize("figure", ["limit", "settled", "lent", "left", "held", "assumed"])
    async def test_every_figure_is_the_sum_of_its_events(self, gateway, figure):
        made = await define(gateway)
        for _ in range(3):
            await gateway.ask(**LIMITED)
        await all_home(gateway, made)
        await gateway.ask(**LIMITED)
        running = await books(gateway, made)
        told = (await gateway.api.get(f"/api/budgets/{made['id']}/explain?figure={figure}")).json()
        assert sum(Decimal(one["amount_usd"]) for one in told["data"]) == Decimal(told["usd"])
        assert told["usd"] == running[f"{figure}_usd"]

    async def test_as_it_was_after_any_event(self, gateway):
        made = await define(gateway)
        await gateway.ask(**LIMITED)
        await gateway.api.patch(f"/api/budgets/{made['id']}", json={"limit_usd": "2"})
        await gateway.ask(**LIMITED)
        await all_home(gateway, made)
        path = f"/api/budgets/{made['id']}"
        plan = (await gateway.api.get(f"{path}/events")).json()["data"]
        period = (await gateway.api.get(f"{path}/events", params={"period": made["running"]["key"]})).json()["data"]
        changes = {
            figure: (await gateway.api.get(f"{path}/explain?figure={figure}")).json()["data"]
            for figure in ("limit", "settled", "lent", "left", "overrun")
        }
        for event in period:
            position = event["position"]
            told = (await gateway.api.get(f"{path}?at={position}")).json()["running"]
            for figure, entries in changes.items():
                until_then = [one for one in entries if one["position"] <= position]
                expected = sum(Decimal(one["amount_usd"]) for one in until_then)
                assert Decimal(told[f"{figure}_usd"]) == expected, (figure, position)
                explained = (await gateway.api.get(f"{path}/explain?figure={figure}&at={position}")).json()
                assert (explained["data"], explained["position"]) == (until_then, position)
            assert (told["spent_last_hour_usd"], told["exhausted_at"]) == (None, None)
        at_once = (await gateway.api.get(f"{path}?at={plan[0]['position']}")).json()
        assert (at_once["limit_usd"], at_once["running"]["left_usd"]) == ("1", "1")
        then = (await gateway.api.get(path, params={"at": plan[0]["occurred_at"]})).json()
        assert then["limit_usd"] == "1"
        now = (await gateway.api.get(path)).json()
        for last in (f"position:{period[-1]['position']}", str(period[-1]["position"]), period[-1]["occurred_at"]):
            shown = (await gateway.api.get(path, params={"at": last, "period": made["running"]["key"]})).json()
            assert shown["running"]["settled_usd"] == now["running"]["settled_usd"], last
            assert shown["running"]["left_usd"] == now["running"]["left_usd"], last
            assert Decimal(shown["running"]["spent_usd"]) == Decimal(now["running"]["settled_usd"]), last

    async def test_what_was_held_is_explained_as_it_was_after_any_event(self, gateway):
        await gateway.forget()
        made = await define(gateway)
        for _ in range(2):
            await gateway.ask(**LIMITED)
        path = f"/api/budgets/{made['id']}"
        held = []
        for event in (await gateway.api.get(f"/api/events?after={gateway.since}")).json()["data"]:
            position = event["position"]
            if event["topic"] == "conversation.completion_requested":
                continue  # stored together with its hold, which follows
            explained = (await gateway.api.get(f"{path}/explain?figure=held&at={position}")).json()
            shown = (await gateway.api.get(f"{path}?at={position}")).json()["running"]["held_usd"]
            assert explained["usd"] == shown, position
            held.append(Decimal(shown))
        assert (max(held) > 0, held[-1]) == (True, 0)

    @pytest.mark.parametrize(
        ("at", "status"),
        [
            ("0", 404),
            ("2020-01-01T00:00:00Z", 404),
            ("2020-01-01", 400),
            ("-1", 400),
            ("now", 400),
            ("9" * 20, 400),
            ("2999-01-01T00:00:00Z", 400),
            ("version:1", 400),
        ],
    )
    async def test_before_there_was_a_budget_there_is_none(self, gateway, at, status):
        made = await define(gateway)
        for path in ("", "/explain"):
            response = await gateway.api.get(f"/api/budgets/{made['id']}{path}", params={"at": at})
            assert response.status_code == status, response.text
        defined = (await gateway.api.get(f"/api/budgets/{made['id']}/events")).json()["data"][0]["position"]
        unspent = await gateway.api.get(f"/api/budgets/{made['id']}", params={"at": defined, "period": "1999-01"})
        assert unspent.json()["code"] == "budget_period_not_found"

    async def test_events_of_the_plan_and_of_the_period(self, gateway):
        made = await define(gateway)
        await gateway.ask(**LIMITED)
        plan = (await gateway.api.get(f"/api/budgets/{made['id']}/events")).json()["data"]
        assert [one["topic"] for one in plan] == ["budget_plan.defined"]
        path = f"/api/budgets/{made['id']}/events?period={made['running']['key']}"
        period = (await gateway.api.get(path)).json()["data"]
        assert [one["topic"] for one in period][:2] == ["budget.period_opened", "budget.allowance_granted"]

    async def test_costs_by_what_one_wants_to_know(self, gateway):
        costs = [
            Decimal((await gateway.ask(**LIMITED)).headers["x-send2llm-cost-usd"]),
            Decimal((await gateway.ask(**LIMITED)).headers["x-send2llm-cost-usd"]),
        ]
        with gateway.projecting():
            await gateway.history_is_complete()
        (line,) = (await gateway.api.get("/api/costs")).json()["data"]
        assert (line["provider"], line["model"], line["calls"], line["attempts"]) == ("fake", MODEL, 2, 2)
        assert Decimal(line["cost_usd"]) == sum(costs)
        (day,) = (await gateway.api.get("/api/costs?by=day&by=tenant&time_zone=Asia/Tokyo")).json()["data"]
        assert (day["tenant"], day["calls"]) == ("default", 2)
        assert (await gateway.api.get("/api/costs?provider=other")).json()["data"] == []
        (total,) = (await gateway.api.get("/api/costs?by=day&begin=2020-01-01T00:00:00Z")).json()["data"]
        assert Decimal(total["cost_usd"]) == sum(costs)
        for zone in ("Nowhere", "posixrules", "Factory", "localtime", "posix/Europe/Berlin"):
            assert (await gateway.api.get(f"/api/costs?by=day&time_zone={zone}")).status_code == 400, zone

    async def test_a_time_zone_that_only_the_database_does_not_know(self, gateway, monkeypatch):
        await gateway.ask(**LIMITED)
        with gateway.projecting():
            await gateway.history_is_complete()
        monkeypatch.setattr("send2llm.infrastructure.read_models.cost_queries.known_zone", str)
        response = await gateway.api.get("/api/costs?by=day&time_zone=Mars/Olympus")
        assert (response.status_code, response.json()["param"]) == (400, "time_zone")

    @pytest.mark.parametrize(
        ("begin", "status"),
        [
            ("2026-11-23T12:00:00Z", 200),
            ("2026-11-23T12:00:00+01:00", 200),  # its plus sign arrives as a blank
            ("2026-11-23T12:00:00%2B01:00", 200),
            ("2026-11-23%2012:00:00%2B01:00", 200),
            ("2026-11-23", 400),
            ("2026-11-23T12:00", 400),
            ("2026-11-23%2012:00", 400),
            ("1795449863", 400),
            ("0001-01-01T00:00:00%2B14:00", 200),
            ("9999-12-31T23:59:59-12:00", 200),
            ("now", 400),
        ],
    )
    async def test_a_time_is_one_with_an_offset(self, gateway, begin, status):
        response = await gateway.api.get(f"/api/costs?begin={begin}")
        assert response.status_code == status, response.text
        assert status == 200 or response.json()["param"] == "begin"

    async def test_a_report_is_never_cut_off(self, gateway, migrated, monkeypatch):
        monkeypatch.setattr("send2llm.infrastructure.read_models.cost_queries.LARGEST_REPORT", 1)
        for tenant_model in ("one", "two"):
            await gateway.ask(**LIMITED, model=f"fake/{tenant_model}")
        with gateway.projecting():
            await gateway.history_is_complete()
        assert len((await gateway.api.get("/api/costs?by=provider")).json()["data"]) == 1
        response = await gateway.api.get("/api/costs?by=model")
        assert response.status_code == 400
        assert "group by less" in response.json()["detail"]

    async def test_the_ledger_tells_what_calls_do_with_a_budget(self, gateway):
        made = await define(gateway)
        await gateway.ask(**LIMITED)
        with gateway.projecting():
            await gateway.history_is_complete()
        running = await books(gateway, made)
        assert Decimal(running["spent_usd"]) == Decimal(running["spent_last_hour_usd"]) > 0
        assert running["held_usd"] == "0"

    async def test_a_forecast_goes_by_the_last_hour(self, gateway):
        made = await define(gateway, "0.01", period="total")
        await gateway.ask(**LIMITED)
        with gateway.projecting():
            await gateway.history_is_complete()
        running = await books(gateway, made)
        hours = Decimal("0.01") / Decimal(running["spent_last_hour_usd"])
        expected = (datetime.fromisoformat(running["exhausted_at"]) - datetime.now(UTC)).total_seconds() / 3600
        assert abs(expected - float(hours - 1)) < 1

    async def test_the_books_agree(self, gateway, provider):
        made = await define(gateway, "0.02")
        await define(gateway, "5", scope={})
        await asyncio.gather(*(gateway.ask(**LIMITED) for _ in range(40)))
        await all_home(gateway, made)
        audit = (await gateway.api.get("/api/audit/money")).json()
        assert audit["agrees"], audit["differences"]
        assert len(audit["periods"]) == 2
        assert {one["settled_usd"] for one in audit["periods"]} == {audit["cost_usd"]}
        assert audit["outside_usd"] == "0"

    async def test_an_audit_tells_how_far_it_is(self, gateway):
        await gateway.ask(**LIMITED)
        async with gateway.api.stream("GET", "/api/audit/money", headers={"accept": "text/event-stream"}) as stream:
            text = (await stream.aread()).decode()
        assert text.startswith("event: progress")
        assert '"agrees":true' in text.split("event: done")[1]
