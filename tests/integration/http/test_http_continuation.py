"""Calls without state become conversations, and go on with them; the same call is made once."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from gateway import MODEL, Gateway
from send2llm.testing.openai_server import DONE, ErrorReply, FakeOpenAIServer, Reply, StreamReply, chunk, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def said(text: str) -> Message:
    return {"role": "assistant", "content": text}


def conversation_of(response: httpx2.Response) -> str:
    assert response.status_code == 200, response.text
    identifier: str = response.headers["x-send2llm-conversation-id"]
    return identifier


@pytest.fixture
def opening() -> Message:
    """What nobody has said before."""
    return user(f"hello {uuid4()}")


@pytest.fixture
def key() -> dict[str, str]:
    return {"idempotency-key": str(uuid4())}


async def test_history_sent_again_goes_on_with_its_conversation(gateway: Gateway, opening: Message) -> None:
    first = await gateway.ask(messages=[opening])
    second = await gateway.ask(messages=[opening, said("Hello!"), user("and?")])
    third = await gateway.ask(messages=[opening, said("Hello!"), user("and?"), said("Hello!"), user("so?")])

    assert conversation_of(first) == conversation_of(second) == conversation_of(third)
    added = [one.data["message"]["parts"][0]["text"] for one in await gateway.events("conversation.message_added")]
    assert added == [opening["content"], "and?", "so?"]
    shown = (await gateway.api.get(f"/api/conversations/{conversation_of(first)}")).json()
    assert [one["role"] for one in shown["messages"]] == ["user", "assistant"] * 3


async def test_the_official_sdks_own_message_objects_go_on_too(
    gateway: Gateway, provider: FakeOpenAIServer, opening: Message
) -> None:
    provider.script(StreamReply.of("in pieces"), Reply.of("whole"))
    async with gateway.sdk.chat.completions.stream(model=MODEL, messages=[opening]) as stream:
        answer = (await stream.get_final_completion()).choices[0].message
    again = [opening, answer.model_dump(exclude_none=True), user("and?")]
    await gateway.sdk.chat.completions.create(model=MODEL, messages=again)
    assert len(await gateway.events("conversation.started")) == 1


async def test_another_history_is_another_conversation(gateway: Gateway, opening: Message) -> None:
    first = await gateway.ask(messages=[opening])
    other = await gateway.ask(messages=[opening, said("I never said that."), user("and?")])
    assert conversation_of(first) != conversation_of(other)
    shown = (await gateway.api.get(f"/api/conversations/{conversation_of(other)}")).json()
    assert [one["content"] for one in shown["messages"]][1:] == ["I never said that.", "and?", "Hello!"]


async def test_a_beginning_alone_never_joins(gateway: Gateway, opening: Message) -> None:
    assert conversation_of(await gateway.ask(messages=[opening])) != conversation_of(
        await gateway.ask(messages=[opening])
    )


async def test_a_history_that_went_on_elsewhere_becomes_a_branch(gateway: Gateway, opening: Message) -> None:
    first = await gateway.ask(messages=[opening])
    await gateway.ask(messages=[opening, said("Hello!"), user("left")])
    branch = await gateway.ask(messages=[opening, said("Hello!"), user("right")])
    assert conversation_of(branch) != conversation_of(first)


async def test_the_conversation_may_be_named(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation = await gateway.start_conversation()
    raw = await gateway.sdk.chat.completions.with_raw_response.create(
        model=MODEL, messages=[user("one")], extra_headers={"x-send2llm-conversation-id": conversation}
    )
    assert raw.headers["x-send2llm-conversation-id"] == conversation
    # Only what is new is sent: what was said before is known here.
    await gateway.sdk.chat.completions.create(
        model=MODEL, messages=[user("two")], extra_headers={"x-send2llm-conversation-id": conversation}
    )
    assert provider.requests[1].json["messages"] == [user("one"), said("Hello!"), user("two")]
    # And with all of it, only what is new is added.
    await gateway.sdk.chat.completions.create(
        model=MODEL,
        messages=[*provider.requests[1].json["messages"], said("Hello!"), user("three")],
        extra_headers={"x-send2llm-conversation-id": conversation},
    )
    assert [one["content"] for one in provider.requests[2].json["messages"]][-2:] == ["Hello!", "three"]
    assert len(provider.requests[2].json["messages"]) == 5


async def test_one_call_at_a_time(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation = await gateway.start_conversation()
    gate = asyncio.Event()
    provider.script(Reply.of("first", gate=gate))
    path = f"/api/conversations/{conversation}/messages"
    first = asyncio.create_task(gateway.api.post(path, json={"model": MODEL, "content": "one"}))
    await provider.arrived()

    busy = await gateway.api.post(path, json={"model": MODEL, "content": "two"})
    assert busy.status_code == 409
    assert busy.json()["code"] == "completion_in_progress"
    assert int(busy.headers["retry-after"]) >= 1
    named = await gateway.api.post(
        "/v1/chat/completions",
        json={"model": MODEL, "messages": [user("three")]},
        headers={"x-send2llm-conversation-id": conversation},
    )
    assert named.json()["error"]["code"] == "completion_in_progress"
    assert (await gateway.api.post(f"/api/conversations/{conversation}/close")).status_code == 409
    assert (await gateway.api.get(f"/api/conversations/{conversation}")).json()["state"] == "awaiting"
    gate.set()
    assert (await first).status_code == 200
    assert len(await gateway.events("conversation.message_added")) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_same_key_is_answered_once(
    gateway: Gateway, provider: FakeOpenAIServer, opening: Message, key: dict[str, str], stream: bool
) -> None:
    provider.script(StreamReply.of("only once") if stream else Reply.of("only once"))
    body = {"model": MODEL, "messages": [opening], "stream": stream}
    first = await gateway.api.post("/v1/chat/completions", json=body, headers=key)
    again = await gateway.api.post("/v1/chat/completions", json=body, headers=key)

    assert len(provider.requests) == 1
    assert conversation_of(again) == conversation_of(first)
    assert again.headers["x-send2llm-replayed"] == "true"
    assert "x-send2llm-replayed" not in first.headers
    assert "only" in again.text
    assert "once" in again.text
    assert len(await gateway.events("conversation.completion_received")) == 1


async def test_an_answer_may_be_fetched_again_in_the_other_way(
    gateway: Gateway, opening: Message, key: dict[str, str]
) -> None:
    whole = await gateway.sdk.chat.completions.create(model=MODEL, messages=[opening], extra_headers=key)
    async with gateway.sdk.chat.completions.stream(model=MODEL, messages=[opening], extra_headers=key) as stream:
        streamed = await stream.get_final_completion()
    assert whole.choices[0].message.content == streamed.choices[0].message.content == "Hello!"
    assert len(await gateway.events("conversation.completion_requested")) == 1


async def test_another_request_with_the_same_key_is_refused(
    gateway: Gateway, opening: Message, key: dict[str, str]
) -> None:
    await gateway.api.post("/v1/chat/completions", json={"model": MODEL, "messages": [opening]}, headers=key)
    await gateway.forget()
    for other in ({"messages": [user("else")]}, {"messages": [opening], "temperature": 1}):
        response = await gateway.api.post("/v1/chat/completions", json={"model": MODEL} | other, headers=key)
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "idempotency_key_reused"
    assert await gateway.events() == []


async def test_the_same_key_while_the_call_runs(
    gateway: Gateway, provider: FakeOpenAIServer, opening: Message, key: dict[str, str]
) -> None:
    gate = asyncio.Event()
    provider.script(Reply.of(gate=gate))
    body = {"model": MODEL, "messages": [opening]}
    first = asyncio.create_task(gateway.api.post("/v1/chat/completions", json=body, headers=key))
    await provider.arrived()
    busy = await gateway.api.post("/v1/chat/completions", json=body, headers=key)
    assert busy.status_code == 409
    assert busy.json()["error"]["code"] == "completion_in_progress"
    gate.set()
    assert (await first).status_code == 200


async def test_the_same_key_from_many_callers_at_once(
    gateway: Gateway, provider: FakeOpenAIServer, opening: Message, key: dict[str, str]
) -> None:
    body = {"model": MODEL, "messages": [opening]}
    responses = await asyncio.gather(
        *(gateway.api.post("/v1/chat/completions", json=body, headers=key) for _ in range(10))
    )
    assert {one.status_code for one in responses} <= {200, 409}
    assert 200 in {one.status_code for one in responses}
    assert len(provider.requests) == 1
    assert len(await gateway.events("conversation.started")) == 1


async def test_a_key_may_try_again_after_a_failure(
    gateway: Gateway, provider: FakeOpenAIServer, opening: Message, key: dict[str, str]
) -> None:
    provider.script(ErrorReply(400), Reply.of("now"))
    body = {"model": MODEL, "messages": [opening]}
    assert (await gateway.api.post("/v1/chat/completions", json=body, headers=key)).status_code == 400
    again = await gateway.api.post("/v1/chat/completions", json=body, headers=key)
    assert again.json()["choices"][0]["message"]["content"] == "now"
    assert await gateway.topics() == [
        "started", "message_added", "completion_requested", "key_claimed", "attempt_failed", "completion_failed",
        "completion_requested", "key_claimed", "completion_received",
    ]  # fmt: skip


async def test_the_sdk_that_tries_again_after_a_lost_answer(
    gateway: Gateway, provider: FakeOpenAIServer, opening: Message, key: dict[str, str]
) -> None:
    """The first answer breaks off; the second try, with the key, is a new call in the same conversation."""
    provider.script(StreamReply([event(chunk(role="assistant", content="br"))], cut=True), StreamReply.of("whole"))
    body = {"model": MODEL, "messages": [opening], "stream": True}
    broken = await gateway.api.post("/v1/chat/completions", json=body, headers=key)
    assert not broken.content.endswith(DONE)
    again = await gateway.api.post("/v1/chat/completions", json=body, headers=key)
    assert again.content.endswith(DONE)
    assert conversation_of(again) == conversation_of(broken)
    assert len(await gateway.events("conversation.message_added")) == 1


async def test_keys_work_on_the_own_api_too(gateway: Gateway, key: dict[str, str]) -> None:
    conversation = await gateway.start_conversation()
    path, body = f"/api/conversations/{conversation}/messages", {"model": MODEL, "content": "one"}
    first = (await gateway.api.post(path, json=body, headers=key)).json()
    again = (await gateway.api.post(path, json=body, headers=key)).json()
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert again["completion_id"] == first["completion_id"]
    assert again["message"] == first["message"]
    streamed = await gateway.api.post(path, json={**body, "stream": True}, headers=key)
    assert 'event: delta\ndata: {"text":"Hello!"}' in streamed.text
    assert '"replayed":true' in streamed.text
