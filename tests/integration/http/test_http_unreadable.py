"""Keys that are lost or changed, and rows that are no events: it is told which and where, and the rest goes on."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from gateway import MODEL, Gateway, database_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def expected_errors() -> frozenset[str]:
    """The operator hears of it."""
    return frozenset({"unreadable_event"})


async def said(gateway: Gateway, conversation: str | None = None, text: str = "") -> httpx2.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text or uuid4().hex}]}
    headers = {} if conversation is None else {"x-send2llm-conversation-id": conversation}
    return await gateway.api.post("/v1/chat/completions", json=body, headers=headers)


async def begun(gateway: Gateway) -> str:
    response = await said(gateway)
    assert response.status_code == 200, response.text
    conversation: str = response.headers["x-send2llm-conversation-id"]
    return conversation


def execute(gateway: Gateway, statement: str, *parameters: object) -> list[Any]:
    with psycopg.connect(database_of(gateway.settings).dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def no_key(gateway: Gateway, conversation: str) -> Iterator[None]:
    """Somebody deletes the row of a key, and puts it back from a backup."""
    stream = f"conversation-{conversation}"
    ((wrapped,),) = execute(gateway, "DELETE FROM conversation_keys WHERE originator_id = %s RETURNING wrapped", stream)
    yield
    execute(gateway, "INSERT INTO conversation_keys VALUES (%s, %s)", stream, wrapped)


async def position_of(gateway: Gateway, conversation: str, topic: str) -> int:
    found = execute(
        gateway,
        "SELECT min(notification_id) FROM stored_events WHERE originator_id = %s AND topic = %s",
        f"conversation-{conversation}",
        topic,
    )
    position: int = found[0][0]
    return position


async def test_nothing_is_said_under_a_key_that_is_lost(gateway: Gateway) -> None:
    """The service knows the key from before, and who was answered would believe that it is stored."""
    conversation = await begun(gateway)
    with no_key(gateway, conversation):
        before = await gateway.topics()
        refused = await said(gateway, conversation)
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "unreadable_text")
        assert "restore its row in conversation_keys" in refused.json()["error"]["message"]
        assert await gateway.topics() == before
        shown = await gateway.api.get(f"/api/conversations/{conversation}")
        assert (shown.status_code, shown.json()["code"]) == (500, "unreadable_text")
        assert shown.json()["position"] == await position_of(gateway, conversation, "conversation.message_added")
    assert (await said(gateway, conversation)).status_code == 200
    assert (await gateway.api.get(f"/api/conversations/{conversation}")).status_code == 200


async def test_what_is_lost_for_good_can_be_erased(gateway: Gateway) -> None:
    conversation = await begun(gateway)
    execute(gateway, "DELETE FROM conversation_keys WHERE originator_id = %s", f"conversation-{conversation}")
    erased = await gateway.api.post(f"/api/conversations/{conversation}/erase", json={"reason": "no backup"})
    assert (erased.status_code, erased.json()["state"]) == (200, "erased")
    shown = await gateway.api.get(f"/api/conversations/{conversation}")
    assert "erased" in shown.text
    page = await gateway.api.get("/api/events", params={"stream": f"conversation-{conversation}"})
    assert page.status_code == 200, page.text


class TestTheFeed:
    async def test_gives_what_is_before_and_names_what_is_in_the_way(self, gateway: Gateway, log: io.BytesIO) -> None:
        first, conversation = await begun(gateway), await begun(gateway)
        with no_key(gateway, conversation):
            culprit = await position_of(gateway, conversation, "conversation.message_added")
            page = (await gateway.api.get("/api/events", params={"after": gateway.since})).json()
            assert {event["stream"] for event in page["data"]} >= {f"conversation-{first}"}
            assert page["reached"] == page["data"][-1]["position"] == culprit - 1
            refused = await gateway.api.get("/api/events", params={"after": page["reached"]})
            assert (refused.status_code, refused.json()["code"]) == (500, "unreadable_text")
            assert refused.json()["position"] == culprit
            behind = await gateway.api.get("/api/events", params={"after": culprit, "limit": 1})
            assert behind.json()["data"][0]["topic"] == "conversation.completion_requested"
        lines = [json.loads(line) for line in log.getvalue().splitlines() if b'"unreadable_event"' in line]
        assert [(line["level"], line["code"], line["position"]) for line in lines] == [
            ("error", "unreadable_text", culprit)
        ]

    async def test_a_follower_steps_over(self, gateway: Gateway) -> None:
        await begun(gateway)
        with psycopg.connect(database_of(gateway.settings).dsn, autocommit=True) as connection:
            row = connection.execute(
                "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
                " VALUES (%s, 1, 'conversation.closed', 'garbage') RETURNING notification_id",
                (f"conversation-{uuid4()}",),
            ).fetchone()
        assert row is not None
        last = await begun(gateway)
        text = await self.followed(gateway, gateway.since, until="event: error")
        assert f'"position":{row[0]}' in text.partition("event: error")[2].splitlines()[1]
        assert f"id: {row[0] - 1}\n" in text
        text = await self.followed(gateway, row[0], until=last)
        assert "event: error" not in text

    async def followed(self, gateway: Gateway, last_event_id: int, until: str) -> str:
        headers = {"accept": "text/event-stream", "last-event-id": str(last_event_id)}
        async with gateway.api.stream("GET", "/api/events", headers=headers) as stream:
            text, ends = "", False
            async for line in stream.aiter_lines():
                text += line + "\n"
                if ends or "event: error" in text:
                    if line.startswith("data"):
                        break
                elif until in text:
                    break
        return text
