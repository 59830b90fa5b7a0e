"""What was said can be given up for ever, and the books stay whole."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from gateway import MODEL, Gateway, database_of, serving, settings_for, soon
from send2llm.bootstrap.container import build_service
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import EncryptionSettings
from send2llm.testing.openai_server import FakeOpenAIServer, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def secret() -> str:
    return f"secret-{uuid4().hex}"


@pytest.fixture
def answer(provider: FakeOpenAIServer) -> str:
    """What the provider answers to everything."""
    text = f"answer-{uuid4().hex}"
    provider.script(*(Reply.of(text) for _ in range(5)))
    return text


async def told(gateway: Gateway, secret: str, **headers: str) -> str:
    """A conversation in which the secret was said."""
    tool = {"type": "function", "function": {"name": "look", "description": f"tool {secret}", "parameters": {}}}
    body = {"model": MODEL, "messages": [{"role": "user", "content": secret}], "tools": [tool], "user": f"u {secret}"}
    response = await gateway.api.post("/v1/chat/completions", json=body, headers=headers)
    assert response.status_code == 200, response.text
    conversation: str = response.headers["x-send2llm-conversation-id"]
    return conversation


async def erase(gateway: Gateway, conversation: str, **body: Any) -> httpx2.Response:
    return await gateway.api.post(f"/api/conversations/{conversation}/erase", json=body)


async def everything_stored(gateway: Gateway) -> str:
    """All rows of all tables, and what states are beneath their bytes."""
    async with await psycopg.AsyncConnection.connect(database_of(gateway.settings).dsn) as connection:
        tables = await connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        rows = []
        for (table,) in await tables.fetchall():
            content = "convert_from(state, 'UTF8')" if table == "stored_events" else f"{table}::text"
            found = await connection.execute(f"SELECT {content} FROM {table}".encode())
            rows += [row for (row,) in await found.fetchall()]
        return "\n".join(rows)


async def test_nothing_of_it_is_left_anywhere(gateway: Gateway, secret: str, answer: str) -> None:
    with gateway.projecting():
        conversation = await told(gateway, secret)
        await gateway.api.post(
            f"/api/conversations/{conversation}/feedback", json={"score": 1, "comment": f"good {secret}"}
        )
        await gateway.history_is_complete()
        before = await everything_stored(gateway)
        assert secret in before, "the history shows what was said"
        costs = (await gateway.api.get("/api/costs")).json()
        usage = (await gateway.api.get("/api/usage")).json()

        response = await erase(gateway, conversation, reason="asked for")
        assert response.status_code == 200, response.text
        assert (response.json()["state"], response.json()["version"]) == ("erased", 6)
        await gateway.history_is_complete()

        after = await everything_stored(gateway)
        assert secret not in after
        assert answer not in after
        assert (await gateway.api.get("/api/costs")).json() == costs
        assert (await gateway.api.get("/api/usage")).json() == usage
        listed = (await gateway.api.get("/api/conversations", params={"state": "erased"})).json()["data"][0]
        assert (listed["id"], listed["title"], listed["message_count"]) == (conversation, None, 2)
        assert (listed["input_tokens"], listed["output_tokens"]) == (9, 4)


async def test_the_past_is_shown_without_what_was_said(gateway: Gateway, secret: str, answer: str) -> None:
    conversation = await told(gateway, secret)
    await erase(gateway, conversation, reason="asked for")
    for path in ("", "?at=3", "/events"):
        shown = await gateway.api.get(f"/api/conversations/{conversation}{path}")
        assert shown.status_code == 200, shown.text
        assert secret not in shown.text
        assert answer not in shown.text
    now = (await gateway.api.get(f"/api/conversations/{conversation}")).json()
    assert [message["role"] for message in now["messages"]] == ["user", "assistant"]
    events = (await gateway.api.get(f"/api/conversations/{conversation}/events")).json()["data"]
    assert events[-1]["topic"] == "conversation.erased"
    assert events[-1]["data"] == {"reason": "asked for"}


async def test_the_feed_tells_of_it_and_forgets(gateway: Gateway, secret: str, answer: str) -> None:
    async with gateway.api.stream(
        "GET", "/api/events", params={"after": gateway.since}, headers={"accept": "text/event-stream"}
    ) as stream:
        lines = stream.aiter_lines()
        conversation = await told(gateway, secret)
        heard = ""
        while "completion_received" not in heard:
            heard = await anext(lines)
        await erase(gateway, conversation)
        while heard != "event: conversation.erased":
            heard = await anext(lines)
        for headers in ({}, {"accept": "text/event-stream"}):
            async with gateway.api.stream(
                "GET", "/api/events", params={"after": gateway.since}, headers=headers
            ) as again:
                text = ""
                async for piece in again.aiter_text():
                    text += piece
                    if "conversation.erased" in text:
                        break
        assert secret not in text
        assert answer not in text


class TestWhoGoesOn:
    async def test_is_told(self, gateway: Gateway, secret: str, answer: str) -> None:
        conversation = await told(gateway, secret)
        await erase(gateway, conversation)
        header = {"x-send2llm-conversation-id": conversation}
        again = await gateway.api.post(
            "/v1/chat/completions",
            json={"model": MODEL, "messages": [{"role": "user", "content": "and?"}]},
            headers=header,
        )
        assert (again.status_code, again.json()["error"]["code"]) == (409, "conversation_erased")
        for path, body in (("feedback", {"score": 1}), ("close", {})):
            refused = await gateway.api.post(f"/api/conversations/{conversation}/{path}", json=body)
            assert (refused.status_code, refused.json()["code"]) == (409, "conversation_erased")

    async def test_by_its_transcript_begins_anew(self, gateway: Gateway, secret: str, answer: str) -> None:
        conversation = await told(gateway, secret)
        await erase(gateway, conversation)
        messages = [
            {"role": "user", "content": secret},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": "and?"},
        ]
        again = await gateway.ask(messages=messages)
        assert again.headers["x-send2llm-conversation-id"] != conversation

    async def test_with_the_same_idempotency_key_gets_no_answer(
        self, gateway: Gateway, secret: str, answer: str
    ) -> None:
        key = str(uuid4())
        conversation = await told(gateway, secret, **{"idempotency-key": key})
        await erase(gateway, conversation)
        tool = {"type": "function", "function": {"name": "look", "description": f"tool {secret}", "parameters": {}}}
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": secret}],
            "tools": [tool],
            "user": f"u {secret}",
        }
        again = await gateway.api.post("/v1/chat/completions", json=body, headers={"idempotency-key": key})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "conversation_erased")

    async def test_and_nobody_who_knows_the_idempotency_key_can_guess_it(
        self, gateway: Gateway, secret: str, answer: str
    ) -> None:
        conversation = await told(gateway, secret, **{"idempotency-key": str(uuid4())})
        assert [event.topic for event in await gateway.events() if "request_digest" in event.data] == [
            "conversation.completion_requested"
        ]
        await erase(gateway, conversation)
        assert not any("request_digest" in event.data for event in await gateway.events())

    @pytest.mark.parametrize("moved_on", [False, True])
    async def test_after_an_earlier_response(
        self, gateway: Gateway, provider: FakeOpenAIServer, secret: str, answer: str, moved_on: bool
    ) -> None:
        """Also from another process, which remembers what was said: nothing of it goes to a provider again."""
        provider.script(*(Reply.of(answer) for _ in range(9)))
        async with serving(gateway.settings) as other:
            first = await other.api.post("/v1/responses", json={"model": MODEL, "input": secret})
            assert first.status_code == 200, first.text
            response_id = first.json()["id"]
            if moved_on:
                further = {"model": MODEL, "input": "and?", "previous_response_id": response_id}
                assert (await other.api.post("/v1/responses", json=further)).status_code == 200
            conversation = first.headers["x-send2llm-conversation-id"]
            assert (await erase(gateway, conversation)).status_code == 200
            provider.requests.clear()
            for one in (gateway, other):
                further = {"model": MODEL, "input": "so?", "previous_response_id": response_id}
                refused = await one.api.post("/v1/responses", json=further)
                assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conversation_erased")
                shown = await one.api.get(f"/v1/responses/{response_id}")
                items = await one.api.get(f"/v1/responses/{response_id}/input_items")
                assert secret not in shown.text + items.text
                assert answer not in shown.text + items.text
            assert provider.requests == []


async def test_erasing_again_changes_nothing(gateway: Gateway, secret: str, answer: str) -> None:
    conversation = await told(gateway, secret)
    first = await erase(gateway, conversation)
    assert (await erase(gateway, conversation, reason="once more")).json() == first.json()


async def test_not_while_an_answer_is_awaited(gateway: Gateway, provider: FakeOpenAIServer, secret: str) -> None:
    conversation = await gateway.start_conversation()
    gate = asyncio.Event()
    provider.script(Reply(Reply.of("late").body, gate=gate))
    calling = asyncio.create_task(
        gateway.api.post(f"/api/conversations/{conversation}/messages", json={"model": MODEL, "content": secret})
    )

    async def asked() -> bool:
        return bool(await gateway.events("conversation.completion_requested"))

    await soon(asked)
    refused = await erase(gateway, conversation)
    assert (refused.status_code, refused.json()["code"]) == (409, "completion_in_progress")
    gate.set()
    assert (await calling).status_code == 200
    assert (await erase(gateway, conversation)).status_code == 200


async def test_an_unknown_conversation(gateway: Gateway) -> None:
    refused = await erase(gateway, str(uuid4()))
    assert (refused.status_code, refused.json()["code"]) == (404, "conversation_not_found")


async def test_what_was_stored_in_plain_stays_plain_and_what_follows_does_not(
    migrated: ConnectionInfo, provider_url: str, secret: str, answer: str
) -> None:
    async with serving(settings_for(migrated, provider_url, encryption={})) as before:
        conversation = await told(before, secret)
        refused = await erase(before, conversation)
        assert (refused.status_code, refused.json()["code"]) == (409, "conversation_not_erasable")
    async with serving(settings_for(migrated, provider_url)) as after:
        header = {"x-send2llm-conversation-id": conversation}
        body = {"model": MODEL, "messages": [{"role": "user", "content": f"later {secret}"}]}
        assert (await after.api.post("/v1/chat/completions", json=body, headers=header)).status_code == 200
        stored = await everything_stored(after)
        assert secret in stored
        assert f"later {secret}" not in stored
        shown = await after.api.get(f"/api/conversations/{conversation}")
        assert f"later {secret}" in shown.text
        refused = await erase(after, conversation)
        assert (refused.status_code, refused.json()["code"]) == (409, "conversation_not_erasable")


@pytest.mark.parametrize("encryption", [{}, {"key": "08" * 32}])
async def test_without_the_right_master_key_no_service_starts(
    gateway: Gateway, secret: str, answer: str, encryption: dict[str, Any]
) -> None:
    await told(gateway, secret)
    service = build_service(gateway.settings.model_copy(update={"encryption": EncryptionSettings(**encryption)}))
    with pytest.raises(ConfigurationError, match="which this process does not have"):
        await service.start()
    await service.stop()
