"""Budgets over HTTP: set, kept, refused."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import openai
import pytest
from budget_calls import LIMITED, LITTLE, PRICES, all_home, books, define

from gateway import HELLO, MODEL, serving, settings_for, soon
from send2llm.settings import BudgetSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
