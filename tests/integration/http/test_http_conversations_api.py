"""Send2LLM's own API: conversations, their messages, their past, and the feed of events."""

import json
from datetime import datetime
from uuid import UUID, uuid4

import httpx2
import pytest

from gateway import HELLO, MODEL, Gateway, Json
from send2llm.testing.openai_server import FakeOpenAIServer, Reply, StreamReply, completion

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


async def send(gateway: Gateway, conversation: str, content: object = "hello", **further: object) -> httpx2.Response:
    body = {"model": MODEL, "content": content, **further}
    response = await gateway.api.post(f"/api/conversations/{conversation}/messages", json=body)
    assert response.status_code == 200, response.text
    return response


def sse(text: str) -> list[tuple[str, Json]]:
    """The events of a stream: names and data."""
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_starting(gateway: Gateway) -> None:
    response = await gateway.api.post("/api/conversations", json={"labels": {"team": "blue"}})
    assert response.status_code == 201
    started = response.json()
    assert UUID(started["id"])
    assert (started["state"], started["version"], started["labels"]) == ("open", 1, {"team": "blue"})


async def test_starting_under_a_name_of_ones_own(gateway: Gateway) -> None:
    name = str(uuid4())
    assert await gateway.start_conversation(id=name) == name
    await gateway.forget()
    again = await gateway.api.post("/api/conversations", json={"id": name})
    assert again.status_code == 409
    assert again.json()["code"] == "conversation_exists"
    assert await gateway.events() == []


async def test_sending(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation = await gateway.start_conversation()
    answer = (await send(gateway, conversation, max_output_tokens=20, temperature=0, stop=["END"], seed=1)).json()

    assert UUID(answer.pop("completion_id"))
    assert answer == {
        "conversation_id": conversation,
        "message": {"role": "assistant", "content": "Hello!"},
        "finish_reason": "stop",
        "usage": {
            "input_tokens": 9,
            "output_tokens": 4,
            "cache_read_input_tokens": 0,
            "cache_write_input_tokens": 0,
            "reasoning_output_tokens": 0,
            "cache_write_1h_input_tokens": 0,
        },
        "cost_usd": None,
        "provider": "fake",
        "model": MODEL,
        "attempts": 1,
        "replayed": False,
    }
    sent = provider.requests[0].json
    assert (sent["temperature"], sent["stop"], sent["seed"]) == (0, ["END"], 1)
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 20


async def test_sending_messages_and_parts(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    conversation = await gateway.start_conversation()
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    parts = [{"type": "text", "text": "What is this?"}, picture]
    await send(gateway, conversation, parts)
    body = {"model": MODEL, "messages": [{"role": "system", "content": "Be brief."}, *HELLO]}
    await gateway.api.post(f"/api/conversations/{conversation}/messages", json=body)
    assert provider.requests[0].json["messages"] == [{"role": "user", "content": parts}]
    assert [one["role"] for one in provider.requests[1].json["messages"]] == ["user", "assistant", "system", "user"]


async def test_tool_calls(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    called = json.dumps(completion(None, finish_reason="tool_calls", tool_calls=[CALL])).encode()
    provider.script(Reply(called), Reply.of("I see."))
    conversation = await gateway.start_conversation()
    answer = (await send(gateway, conversation, tools=[{"type": "function", "function": {"name": "look"}}])).json()
    assert answer["message"]["tool_calls"] == [CALL]
    assert answer["finish_reason"] == "tool_calls"
    result = {"role": "tool", "tool_call_id": "c1", "content": "a cat"}
    body = {"model": MODEL, "messages": [result]}
    after = (await gateway.api.post(f"/api/conversations/{conversation}/messages", json=body)).json()
    assert after["message"]["content"] == "I see."
    assert provider.requests[1].json["messages"][1]["tool_calls"] == [CALL]


@pytest.mark.parametrize("asked", ["in the body", "by the header"])
async def test_streaming(gateway: Gateway, provider: FakeOpenAIServer, asked: str) -> None:
    provider.script(StreamReply.of("one two"))
    conversation = await gateway.start_conversation()
    body = {"model": MODEL, "content": "hello"} | ({"stream": True} if asked == "in the body" else {})
    headers = {"accept": "text/event-stream"} if asked == "by the header" else {}
    response = await gateway.api.post(f"/api/conversations/{conversation}/messages", json=body, headers=headers)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-send2llm-conversation-id"] == conversation
    events = sse(response.text)
    assert "".join(data["text"] for name, data in events if name == "delta") == "one two"
    name, done = events[-1]
    assert name == "done"
    assert done["message"]["content"] == "one two"
    assert done["usage"]["output_tokens"] == 4
    assert (await gateway.event("conversation.completion_received")).data["completion_id"] == done["completion_id"]


async def test_the_past(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation()
    path = f"/api/conversations/{conversation}"
    await send(gateway, conversation, "one")
    middle = (await gateway.api.get(path)).json()
    await send(gateway, conversation, "two")
    now = (await gateway.api.get(path)).json()

    assert now["version"] == 7
    assert [one["content"] for one in now["messages"]] == ["one", "Hello!", "two", "Hello!"]
    by_version = (await gateway.api.get(path, params={"at": middle["version"]})).json()
    by_time = (await gateway.api.get(path, params={"at": middle["as_of"]})).json()
    assert by_version == by_time == middle
    before = (await gateway.api.get(path, params={"at": 1})).json()
    assert (before["version"], before["messages"]) == (1, [])
    assert (await gateway.api.get(path, params={"at": 0})).status_code == 404
    assert (await gateway.api.get(path, params={"at": "2020-01-01T00:00:00Z"})).status_code == 404
    # A plus sign that was not escaped, as people write it.
    assert (await gateway.api.get(f"{path}?at={now['as_of'].replace('Z', '+00:00')}")).json()["version"] == 7


async def test_events_of_a_conversation(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation(labels={"a": "b"})
    response = await send(gateway, conversation, "one")
    path = f"/api/conversations/{conversation}/events"
    events = (await gateway.api.get(path)).json()["data"]

    assert [one["version"] for one in events] == [1, 2, 3, 4]
    assert [one["topic"].split(".")[1] for one in events] == [
        "started", "message_added", "completion_requested", "completion_received",
    ]  # fmt: skip
    assert events[0]["data"]["labels"] == {"a": "b"}
    assert {one["correlation_id"] for one in events[1:]} == {response.headers["x-request-id"]}
    assert {one["tenant"] for one in events} == {"default"}
    assert all(datetime.fromisoformat(one["occurred_at"]).tzinfo for one in events)
    assert set(events[0]) == {
        "position", "stream", "version", "topic", "event_id", "occurred_at", "correlation_id", "causation_id",
        "actor", "tenant", "data",
    }  # fmt: skip
    page = (await gateway.api.get(path, params={"after": 1, "limit": 2})).json()["data"]
    assert [one["version"] for one in page] == [2, 3]


async def test_the_feed(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.ask()
    seen, after = [], gateway.since
    while True:
        page = (await gateway.api.get("/api/events", params={"after": after, "limit": 5})).json()
        if not page["data"]:
            break
        seen += page["data"]
        after = seen[-1]["position"]
    assert len(seen) == 12
    assert after == page["head"]
    assert [one["position"] for one in seen] == sorted(one["position"] for one in seen)
    topic = "conversation.completion_received"
    received = (await gateway.api.get("/api/events", params={"after": gateway.since, "topic": topic})).json()["data"]
    assert {one["topic"] for one in received} == {topic}
    assert len(received) == 3


async def test_feedback(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation()
    answer = (await send(gateway, conversation)).json()
    path = f"/api/conversations/{conversation}/feedback"
    await gateway.forget()
    judged = await gateway.api.post(
        path, json={"completion_id": answer["completion_id"], "score": 0.5, "comment": "good"}
    )
    assert (judged.status_code, judged.content) == (204, b"")
    assert (await gateway.api.post(path, json={"score": -1})).status_code == 204
    first, second = await gateway.events("conversation.feedback_given")
    assert first.data == {"completion_id": answer["completion_id"], "score": "0.5", "comment": "good"}
    assert second.data["score"] == "-1"


async def test_closing(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation()
    path = f"/api/conversations/{conversation}/close"
    closed = await gateway.api.post(path, json={"reason": "done"})
    assert closed.status_code == 200
    assert closed.json()["state"] == "closed"
    assert (await gateway.api.post(path)).json()["version"] == closed.json()["version"]  # once is enough
    assert (await gateway.event("conversation.closed")).data == {"reason": "done"}
    judged = await gateway.api.post(f"/api/conversations/{conversation}/feedback", json={"score": 1})
    assert judged.status_code == 204  # what is over may be judged


async def test_the_list(gateway: Gateway) -> None:
    word = uuid4().hex
    with gateway.projecting():
        ids = []
        for n in range(5):
            ids.append(await gateway.start_conversation(labels={"n": str(n)}))
            await send(gateway, ids[-1], f"{word} number {n}")
        await gateway.api.post(f"/api/conversations/{ids[0]}/close")
        await gateway.history_is_complete()

    async def listed(**parameters: object) -> Json:
        response = await gateway.api.get("/api/conversations", params={"q": word, **parameters})
        assert response.status_code == 200, response.text
        page: Json = response.json()
        return page

    page = await listed(limit=2)
    assert [one["id"] for one in page["data"]] == [ids[0], ids[4]]  # the latest change first
    following = await listed(limit=2, cursor=page["next_cursor"])
    last = await listed(limit=2, cursor=following["next_cursor"])
    assert [one["id"] for one in following["data"] + last["data"]] == [ids[3], ids[2], ids[1]]
    assert last["next_cursor"] is None

    line = page["data"][1]
    assert line["title"] == f"{word} number 4"
    assert (line["state"], line["message_count"], line["labels"]) == ("open", 2, {"n": "4"})
    assert (line["provider"], line["model"], line["cost_usd"]) == ("fake", MODEL, "0")
    assert (line["input_tokens"], line["output_tokens"]) == (9, 4)
    assert datetime.fromisoformat(line["started_at"]) <= datetime.fromisoformat(line["updated_at"])

    assert [one["id"] for one in (await listed(state="closed"))["data"]] == [ids[0]]
    assert len((await listed(model=MODEL, provider="fake", state="open"))["data"]) == 4
    assert (await listed(model="other"))["data"] == (await listed(provider="other"))["data"] == []
    third = next(one for one in (await listed())["data"] if one["id"] == ids[2])["started_at"]
    assert {one["id"] for one in (await listed(started_before=third))["data"]} == set(ids[:2])
    assert {one["id"] for one in (await listed(started_after=third))["data"]} == set(ids[2:])


async def test_projections(gateway: Gateway) -> None:
    with gateway.projecting():
        await gateway.ask()
        await gateway.history_is_complete()
        builds = (await gateway.api.get("/api/projections")).json()["data"]
    assert [build["name"] for build in builds] == ["cost_ledger", "history", "trail", "usage"]
    ledger, history, _, usage = builds
    assert (ledger["name"], ledger["state"], ledger["lag_events"]) == ("cost_ledger", "running", 0)
    assert (history["name"], history["version"], history["state"]) == ("history", 1, "running")
    assert (history["lag_events"], history["error"]) == (0, None)
    assert (usage["name"], usage["lag_events"], usage["error"]) == ("usage", 0, None)
    assert history["position"] == history["head"] > 0
