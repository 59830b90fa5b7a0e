"""Labels: callers name what a conversation is about, and find it, and erase it, by that."""

from uuid import uuid4

import pytest

from gateway import MODEL, Gateway, Json
from send2llm.testing.openai_server import FakeOpenAIServer, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def user() -> str:
    return f"Zoë, {uuid4()}"


async def listed(gateway: Gateway, *labels: str) -> list[Json]:
    await gateway.history_is_complete()
    found = await gateway.api.get("/api/conversations", params={"label": list(labels)})
    assert found.status_code == 200, found.text
    data: list[Json] = found.json()["data"]
    return data


async def test_a_new_conversation_gets_those_of_the_header(gateway: Gateway, user: str) -> None:
    with gateway.projecting():
        encoded = "Zo%C3%AB%2C%20" + user.split()[1]
        own = {"x-send2llm-labels": f"user={encoded} , team = docs"}
        message = {"role": "user", "content": "hello"}
        for path in ("/v1/chat/completions", "/v1/messages"):
            body = {"model": MODEL, "messages": [message], "max_tokens": 5}
            assert (await gateway.api.post(path, json=body, headers=own)).status_code == 200
        await gateway.ask(messages=[message])
        found = await listed(gateway, f"user={user}", "team=docs")
        assert [one["labels"] for one in found] == [{"user": user, "team": "docs"}] * 2
        assert await listed(gateway, f"user={user}", "team=other") == []


async def test_a_branch_has_those_of_its_conversation(gateway: Gateway, provider: FakeOpenAIServer, user: str) -> None:
    provider.script(*(Reply.of("answer") for _ in range(3)))
    with gateway.projecting():
        labels = {"x-send2llm-labels": f"user={user.split()[1]}"}
        first = await gateway.sdk.responses.create(model=MODEL, input="one", extra_headers=labels)
        for _ in range(2):
            await gateway.sdk.responses.create(model=MODEL, input="two", previous_response_id=first.id)
        conversation, branch = sorted(
            await listed(gateway, f"user={user.split()[1]}"), key=lambda one: "branch_of" in one["labels"]
        )
        assert branch["labels"] == {**conversation["labels"], "branch_of": conversation["id"]}


@pytest.mark.parametrize(
    "written", ["user", "=4711", "user=1,,team=2", "user=Zoë", ",".join(f"a{n}=1" for n in range(65))]
)
async def test_what_is_no_label(gateway: Gateway, written: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"x-send2llm-labels": written.encode()}
    refused = await gateway.api.post("/v1/chat/completions", json=body, headers=headers)
    assert refused.status_code == 400
    assert "label" in refused.json()["error"]["message"]
    assert await gateway.events() == []


async def test_a_query_says_what_is_no_label(gateway: Gateway) -> None:
    refused = await gateway.api.get("/api/conversations", params={"label": "user"})
    assert (refused.status_code, refused.json()["param"]) == (400, "label")
