"""Budgets over HTTP: set, kept, refused, explained, audited."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import openai
import pytest
import pytest_asyncio

from gateway import HELLO, MODEL, Gateway, serving, settings_for, soon
from send2llm.settings import BudgetSettings, PriceSettings

LIMITED = {"max_tokens": 20}
LITTLE = "0.0016"
"""What one call holds, and what some thirty cost: most of a hold comes back."""
PRICES = {"fake/fake-model-1": PriceSettings(input=Decimal(1), output=Decimal(2))}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated, provider_url):
    settings = settings_for(
        migrated, provider_url, prices=PRICES, budgets=BudgetSettings(idle_seconds=0.1, recall_seconds=0.3)
    )
    async with serving(settings) as gateway:
        yield gateway


async def define(gateway: Gateway, limit: str = "1", **terms):
    body = {"scope": {"provider": "fake"}, "limit_usd": limit, "period": "month", **terms}
    response = await gateway.api.post("/api/budgets", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def books(gateway: Gateway, budget):
    return (await gateway.api.get(f"/api/budgets/{budget['id']}")).json()["running"]


async def all_home(gateway: Gateway, budget):
    """Wait until nothing is lent any more."""

    async def home():
        running = await books(gateway, budget)
        return running if Decimal(running["lent_usd"]) == 0 else None

    return await soon(home)


class TestSettingBudgets:
    async def test_what_was_set_is_shown(self, gateway):
        made = await define(gateway, "12.50", time_zone="Europe/Berlin", thresholds=[90, 50])
        assert made["scope"] == {"provider": "fake"}
        assert (made["limit_usd"], made["period"], made["time_zone"]) == ("12.5", "month", "Europe/Berlin")
        assert made["thresholds"] == [50, 90]
        assert made["running"]["left_usd"] == "12.5"
        listed = (await gateway.api.get("/api/budgets")).json()["data"]
        assert [one["id"] for one in listed] == [made["id"]]

    async def test_numbers_are_exact_however_they_are_written(self, gateway):
        assert (await define(gateway, limit=0.1))["limit_usd"] == "0.1"

    async def test_the_same_budget_twice_is_a_conflict(self, gateway):
        made = await define(gateway)
        body = {"scope": {"provider": "fake"}, "limit_usd": "2", "period": "month"}
        response = await gateway.api.post("/api/budgets", json=body)
        assert (response.status_code, response.json()["code"]) == (409, "budget_exists")
        assert made["id"] in response.json()["detail"]

    async def test_a_limit_counts_at_once(self, gateway):
        made = await define(gateway)
        await gateway.ask(**LIMITED)
        changed = await gateway.api.patch(f"/api/budgets/{made['id']}", json={"limit_usd": "5"})
        assert changed.json()["running"]["limit_usd"] == "5"
        lowered = await gateway.api.patch(f"/api/budgets/{made['id']}", json={"limit_usd": "0.000001"})
        assert Decimal(lowered.json()["running"]["excess_usd"]) > 0
        assert (await gateway.ask(**LIMITED, messages=[{"role": "user", "content": "x" * 50_000}])).status_code == 429

    async def test_a_retired_budget_limits_nothing(self, gateway):
        made = await define(gateway, "0.000001")
        assert (await gateway.ask(**LIMITED)).status_code == 429
        retired = await gateway.api.post(f"/api/budgets/{made['id']}/retire")
        assert retired.json()["retired"]
        assert (await gateway.ask(**LIMITED)).status_code == 200
        assert (await gateway.api.get("/api/budgets")).json()["data"] == []
        assert len((await gateway.api.get("/api/budgets?retired=true")).json()["data"]) == 1

    @pytest.mark.parametrize(
        ("wrong", "param"),
        [
            ({"limit_usd": "0"}, "limit_usd"),
            ({"limit_usd": "NaN"}, "limit_usd"),
            ({"limit_usd": "1e-13"}, "limit_usd"),
            ({"period": "fortnight"}, "period"),
            ({"time_zone": "Atlantis/Capital"}, "time_zone"),
            ({"scope": {"model": "m"}}, "scope.provider"),
            ({"scope": {"provider": "p", "model": "m", "tenant": "t"}}, "scope.tenant"),
            ({"thresholds": [101]}, "thresholds"),
            ({"limits": "1"}, "limits"),
            ({"limit_usd": "1_000"}, "limit_usd"),
            ({"limit_usd": "\u0661\u0662"}, "limit_usd"),
            ({"limit_usd": True}, "limit_usd"),
            ({"limit_usd": "-5"}, "limit_usd"),
            ({"carry_over": "yes"}, "carry_over"),
            ({"thresholds": [True]}, "thresholds.0"),
            ({"time_zone": "posixrules"}, "time_zone"),
            ({"scope": {"provider": "a/b"}}, "scope.provider"),
            ({"scope": {"provider": "p", "model": "m\x07"}}, "scope.model"),
            ({"scope": {"provider": "p", "tenant": "t" * 300_000}}, "scope.tenant"),
        ],
    )
    async def test_what_makes_no_sense_is_refused_with_the_place(self, gateway, wrong, param):
        body = {"scope": {"provider": "fake"}, "limit_usd": "1", **wrong}
        response = await gateway.api.post("/api/budgets", json=body)
        assert response.status_code == 400, response.text
        assert response.json()["param"] == param
        assert (await gateway.api.get("/api/budgets")).json()["data"] == []

    @pytest.mark.parametrize("nothing", [{}, {"limit_usd": None}, {"carry_over": None}, {"thresholds": None}])
    async def test_a_change_of_nothing_is_refused(self, gateway, nothing):
        made = await define(gateway)
        response = await gateway.api.patch(f"/api/budgets/{made['id']}", json=nothing)
        assert response.status_code == 400, response.text

    async def test_a_provider_that_is_not_configured_is_warned_of(self, gateway):
        assert (await define(gateway))["warnings"] == []
        (warning,) = (await define(gateway, scope={"provider": "fkae"}))["warnings"]
        assert "No provider fkae is configured here (fake)" in warning

    @pytest.mark.parametrize("path", ["", "/events", "/explain"])
    @pytest.mark.parametrize("period", ["foo", "%00", "2026-13", "2026-W47", "total", "%ff", "9999-12", "1-1"])
    async def test_a_period_that_is_none_is_refused(self, gateway, path, period):
        made = await define(gateway, period="day")
        response = await gateway.api.get(f"/api/budgets/{made['id']}{path}?period={period}")
        assert (response.status_code, response.json()["param"]) == (400, "period"), response.text
        assert "looks like 2026-11-23" in response.json()["detail"]

    async def test_the_plus_sign_in_a_key_may_have_become_a_blank(self, gateway):
        made = await define(gateway, period="hour", time_zone="Europe/Berlin")
        key = made["running"]["key"]
        assert "+" in key
        for written in (key, key.replace("+", "%2B"), key.replace("+", "%20")):
            shown = await gateway.api.get(f"/api/budgets/{made['id']}?period={written}")
            assert shown.json()["running"]["key"] == key

    async def test_what_is_not_there_is_not_found(self, gateway):
        unknown = "00000000-0000-7000-8000-000000000001"
        for path in ("", "/events", "/explain"):
            response = await gateway.api.get(f"/api/budgets/{unknown}{path}")
            assert (response.status_code, response.json()["code"]) == (404, "budget_not_found"), path
        made = await define(gateway)
        for path in ("", "/events", "/explain"):
            response = await gateway.api.get(f"/api/budgets/{made['id']}{path}?period=1999-01")
            assert (response.status_code, response.json()["code"]) == (404, "budget_period_not_found")


class TestCallsUnderBudgets:
    async def test_an_answer_tells_its_cost_and_what_is_left(self, gateway):
        made = await define(gateway)
        response = await gateway.ask(**LIMITED)
        cost = Decimal(response.headers["x-send2llm-cost-usd"])
        assert Decimal(response.headers["x-send2llm-budget-left-usd"]) == 1 - cost
        assert Decimal((await all_home(gateway, made))["settled_usd"]) == cost

    async def test_a_stream_tells_what_is_left(self, gateway):
        await define(gateway)
        stream = await gateway.sdk.chat.completions.with_raw_response.create(
            model=MODEL, messages=HELLO, stream=True, **LIMITED
        )
        assert 0 < Decimal(stream.headers["x-send2llm-budget-left-usd"]) < 1

    async def test_a_refusal_has_the_numbers_and_when_to_come_back(self, gateway):
        made = await define(gateway, "0.000001", time_zone="Europe/Berlin")
        await gateway.forget()
        response = await gateway.ask(**LIMITED)
        assert response.status_code == 429
        error = response.json()["error"]
        assert (error["type"], error["code"]) == ("insufficient_quota", "budget_exceeded")
        assert error["budget"]["budget_id"] == made["id"]
        assert (error["budget"]["limit_usd"], error["budget"]["left_usd"]) == ("0.000001", "0.000001")
        end = datetime.fromisoformat(made["running"]["end"])
        until = (end - datetime.now(UTC)).total_seconds()
        assert abs(int(response.headers["retry-after"]) - until) < 10
        assert response.headers["x-should-retry"] == "false"
        refused = await gateway.event("conversation.completion_refused")
        assert refused.stream == f"conversation-{response.headers['x-send2llm-conversation-id']}"
        assert refused.data["shortfall"]["budget_id"] == made["id"]

    async def test_a_refusal_says_what_would_help(self, gateway):
        await define(gateway, "0.0015")
        long_input = [{"role": "user", "content": "x" * 5_000}]
        refused = (await gateway.ask(**LIMITED, messages=long_input)).json()["error"]["message"]
        assert "Send less input" in refused
        assert "needs at least" in refused

    async def test_one_call_that_is_too_dear_exhausts_nothing(self, gateway):
        made = await define(gateway, "0.002")
        assert (await gateway.ask(**LIMITED, messages=[{"role": "user", "content": "x" * 5_000}])).status_code == 429
        running = await books(gateway, made)
        assert not running["exhausted"]
        assert Decimal(running["refused_usd"]) > Decimal("0.005")

    async def test_the_sdk_does_not_try_again(self, gateway):
        await define(gateway, "0.000001")
        await gateway.forget()
        with pytest.raises(openai.RateLimitError) as refusal:
            await gateway.sdk.with_options(max_retries=3).chat.completions.create(
                model=MODEL, messages=HELLO, **LIMITED
            )
        assert refusal.value.code == "budget_exceeded"
        assert len(await gateway.events("conversation.completion_refused")) == 1

    async def test_the_own_api_refuses_with_a_problem(self, gateway):
        await define(gateway, "0.000001")
        conversation = await gateway.start_conversation()
        response = await gateway.api.post(
            f"/api/conversations/{conversation}/messages", json={"model": MODEL, "content": "hello"}
        )
        assert (response.status_code, response.json()["code"]) == (429, "budget_exceeded")
        assert response.json()["budget"]["needed_usd"]

    async def test_the_provider_is_told_the_limit_that_the_hold_rests_on(self, gateway, provider):
        await define(gateway, "0.002")
        await gateway.ask(max_tokens=100_000)
        assert provider.requests[-1].json["max_tokens"] < 1_000

    async def test_a_model_without_a_price_is_refused(self, migrated, provider_url):
        settings = settings_for(migrated, provider_url)
        async with serving(settings) as gateway:
            await define(gateway)
            response = await gateway.ask(**LIMITED)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "price_unknown")

    async def test_many_at_once_never_cost_more_than_the_limit(self, gateway, provider):
        made = await define(gateway, LITTLE)
        await gateway.forget()
        responses = await asyncio.gather(*(gateway.ask(**LIMITED) for _ in range(120)))
        codes = {response.status_code for response in responses}
        assert codes == {200, 429}
        costs = [Decimal(one.headers["x-send2llm-cost-usd"]) for one in responses if one.status_code == 200]
        running = await all_home(gateway, made)
        assert Decimal(running["settled_usd"]) == sum(costs) <= Decimal(LITTLE)
        assert len(await gateway.events("conversation.completion_requested")) == len(costs)
        assert len(await gateway.events("conversation.completion_refused")) == 120 - len(costs)


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


async def test_two_processes_share_one_budget(migrated, provider_url):
    settings = settings_for(
        migrated, provider_url, prices=PRICES, budgets=BudgetSettings(idle_seconds=1, recall_seconds=1.5)
    )
    async with serving(settings) as one, serving(settings) as other:
        made = await define(one, LITTLE)

        async def known() -> bool:
            return bool((await other.api.get("/api/budgets")).json()["data"])

        await soon(known)
        answered = 0
        for _ in range(100):
            responses = await asyncio.gather(one.ask(**LIMITED), other.ask(**LIMITED))
            answered += sum(response.status_code == 200 for response in responses)
            if all(response.status_code == 429 for response in responses):
                break
        running = await all_home(one, made)
        cost = Decimal(running["settled_usd"]) / answered
        assert Decimal(running["settled_usd"]) <= Decimal(LITTLE)
        assert Decimal(running["left_usd"]) < Decimal("0.0012")  # less than a call holds
        assert cost > 0
        assert (await other.api.get("/api/audit/money")).json()["agrees"]
