"""The trail of one thing: all of it, in its order, without what was said."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from command_line import run

from gateway import MODEL, Gateway, Json, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import BudgetSettings, PriceSettings
from send2llm.testing.openai_server import FakeOpenAIServer, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "xylophone quartz"


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated: ConnectionInfo, provider_url: str) -> AsyncIterator[Gateway]:
    prices = {f"fake/{MODEL}": PriceSettings(input=Decimal(1), output=Decimal(2))}
    settings = settings_for(
        migrated, provider_url, prices=prices, budgets=BudgetSettings(idle_seconds=0.1, recall_seconds=0.3)
    )
    async with serving(settings) as gateway:
        with gateway.projecting():
            await gateway.history_is_complete()
            yield gateway


async def trail(gateway: Gateway, **query: object) -> list[Json]:
    await gateway.history_is_complete()
    found: list[Json] = []
    after = 0
    while True:
        response = await gateway.api.get("/api/audit/trail", params={"after": after, **query})
        assert response.status_code == 200, response.text
        page = response.json()
        found += page["data"]
        after = page["reached"]
        if not page["more"]:
            assert [one["position"] for one in found] == sorted({one["position"] for one in found})
            return found


def topics(events: list[Json]) -> list[str]:
    return [one["topic"].partition(".")[2] for one in events]


async def test_a_call_by_everything_that_names_it(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    budget = (await gateway.api.post("/api/budgets", json={"limit_usd": "5", "period": "total"})).json()["id"]
    provider.script(Reply.of(SECRET))
    key = uuid4().hex
    body = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}], "max_tokens": 20}
    asked = await gateway.api.post("/v1/chat/completions", json=body, headers={"idempotency-key": key})
    assert asked.status_code == 200, asked.text
    await gateway.ask(max_tokens=20)  # of another

    request, conversation = (asked.headers[f"x-send2llm-{name}-id"] for name in ("request", "conversation"))
    by_request = await trail(gateway, correlation=request)
    (hold,) = [one for one in by_request if one["topic"] == "allowance.hold_taken"]
    completion = hold["data"]["completion_id"]
    whole = [
        "started", "message_added", "completion_requested", "key_claimed", "hold_taken", "completion_received",
    ]  # fmt: skip
    assert sorted(topics(by_request)) == sorted(whole)
    for query in ({"completion": completion}, {"idempotency_key": key}, {"conversation": conversation}):
        assert await trail(gateway, **query) == by_request, query
    assert await trail(gateway, idempotency_key=key, tenant="other") == []
    by_budget = await trail(gateway, budget=budget, limit=2)
    assert hold in by_budget
    assert {"defined", "period_opened", "allowance_granted", "hold_taken"} <= set(topics(by_budget))
    by_actor = await trail(gateway, actor="anonymous", tenant="default")
    assert [one for one in by_actor if one["correlation_id"] == request] == by_request
    assert await trail(gateway, actor="nobody") == []


async def test_no_text_unless_it_is_asked_for(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(Reply.of(SECRET))
    asked = await gateway.ask(messages=[{"role": "user", "content": SECRET}])
    request = asked.headers["x-send2llm-request-id"]
    quiet = await trail(gateway, correlation=request)
    assert SECRET not in json.dumps(quiet)
    loud = await trail(gateway, correlation=request, texts=True)
    assert json.dumps(loud).count(SECRET) == 2
    assert {"message", "answers"} <= {name for one in quiet for name in one["left_out"]}
    assert all(one["left_out"] == [] for one in loud)


@pytest.mark.parametrize(
    "query",
    ["", "actor=a&budget=00000000-0000-0000-0000-000000000001", "conversation=x", "actor=%00", "actor=a&tenant=%00"],
)
async def test_what_names_nothing_is_refused(gateway: Gateway, query: str) -> None:
    assert (await gateway.api.get(f"/api/audit/trail?{query}")).status_code == 400


async def test_the_indices_are_used(gateway: Gateway) -> None:
    """A trail costs what it holds, not what the log holds."""
    await gateway.ask()
    await gateway.history_is_complete()
    assert gateway.settings.database_url is not None
    with psycopg.connect(gateway.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO trail_v1_events SELECT 1000 + n, gen_random_uuid(), 'a' || n % 1000, 'default',"
            " gen_random_uuid(), gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 20000) AS n"
        )
        connection.execute("ANALYZE trail_v1_events")
        one = "'00000000-0000-0000-0000-000000000001'::uuid"
        for condition in (
            f"correlation_id = {one}",
            "actor = 'a1'",
            f"conversation_id = {one}",
            f"budget_id = {one}",
            f"(completion_id = ANY (ARRAY[{one}]) OR correlation_id = ANY (ARRAY[{one}]))",
        ):
            query = f"EXPLAIN SELECT position FROM trail_events WHERE {condition} AND position > 0"
            plan = "\n".join(line for (line,) in connection.execute(f"{query} ORDER BY position LIMIT 200".encode()))
            assert "Seq Scan" not in plan, plan
            assert "trail_v1_events_pkey" not in plan, plan


async def test_on_the_command_line(gateway: Gateway) -> None:
    asked = await gateway.ask(messages=[{"role": "user", "content": SECRET}])
    await gateway.history_is_complete()
    conversation = asked.headers["x-send2llm-conversation-id"]
    told = await run(gateway, "audit", "trail", "--conversation", conversation)
    assert told[0] == 0
    assert "conversation.message_added" in told[1]
    assert "not shown: message" in told[1]
    assert SECRET not in told[1]
    assert "4 events in 1 streams, of 1 requests" in told[2]
    assert SECRET in (await run(gateway, "audit", "trail", "--conversation", conversation, "--texts"))[1]
    document = json.loads((await run(gateway, "audit", "trail", "--conversation", conversation, "--json"))[1])
    assert document["subject"] == {"conversation": conversation}
    assert len(document["data"]) == 4
    shortened = await run(gateway, "audit", "trail", "--actor", "anonymous", "--limit", "2")
    assert "2 events" in shortened[2]
    assert "known up to 0" not in shortened[2]
    assert "is behind" not in shortened[2]
    limited = json.loads((await run(gateway, "audit", "trail", "--actor", "anonymous", "--limit", "2", "--json"))[1])
    assert limited["known_to"] == document["known_to"] >= limited["data"][-1]["position"]
    assert "Nothing is known" in (await run(gateway, "audit", "trail", "--actor", "nobody"))[2]
    assert "Name one thing" in (await run(gateway, "audit", "trail"))[2]
