"""Message handlers before the real service, with the official SDK and a provider on the wire."""

import io
import json
from typing import Any

import pytest
import pytest_asyncio

from gateway import MODEL, Gateway, serving, settings_for
from send2llm.testing.openai_server import DONE, FakeOpenAIServer, Reply, StreamReply, chunk, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINE = "ann@example.com"
ASKED = [{"role": "user", "content": f"I am {MINE}"}]
HANDLERS = ["validate", "normalise", "template", "redact"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(clean_environment, all_logs, module_database, provider_url):
    options = {"validate": {"max_messages": 5}, "redact": {"refuse": ["private_key"]}}
    async with serving(
        settings_for(module_database, provider_url, handlers=HANDLERS, handler_options=options)
    ) as gateway:
        yield gateway


async def set_template(gateway: Gateway, name: str, text: str) -> None:
    body = {"messages": [{"role": "system", "content": text}]}
    response = await gateway.api.put(f"/api/templates/{name}", json=body)
    assert response.status_code == 200, response.text


async def test_a_conversation_goes_on_while_nothing_personal_leaves(
    gateway: Gateway, provider: FakeOpenAIServer
) -> None:
    provider.script(Reply.of("Hello [EMAIL_1]!"), StreamReply.of("Again [EMAIL_1] here"))
    first = await gateway.sdk.chat.completions.create(model=MODEL, messages=ASKED)
    assert first.choices[0].message.content == f"Hello {MINE}!"

    told = [*ASKED, first.choices[0].message.model_dump(exclude_none=True), {"role": "user", "content": "And now?"}]
    stream = await gateway.sdk.chat.completions.create(model=MODEL, messages=told, stream=True)
    chunks = [one async for one in stream]
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == f"Again {MINE} here"

    sent = [message["content"] for message in provider.requests[1].json["messages"]]
    assert sent == ["I am [EMAIL_1]", "Hello [EMAIL_1]!", "And now?"]
    events = await gateway.events()
    assert len({one.stream for one in events}) == 1
    assert MINE not in json.dumps([one.data for one in events])


async def test_a_placeholder_that_is_cut_across_events_is_given_back_whole(
    gateway: Gateway, provider: FakeOpenAIServer
) -> None:
    pieces = [chunk(content=piece) for piece in ("It is [EM", "AIL", "_1", "] and [", "not")]
    last = chunk("stop")
    provider.script(StreamReply([*map(event, [chunk(role="assistant", content=""), *pieces, last]), DONE]))
    body = {"model": MODEL, "messages": ASKED, "stream": True}
    response = await gateway.api.post("/v1/chat/completions", json=body)
    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert events[-1] == "[DONE]"
    read = [json.loads(one) for one in events[:-1]]
    texts = [choice["delta"].get("content") or "" for one in read for choice in one["choices"]]
    assert "".join(texts) == f"It is {MINE} and [not"
    assert read[-1]["choices"][0]["finish_reason"] == "stop"
    assert "[EM" not in response.text


async def test_where_nothing_was_hidden_the_providers_bytes_are_passed_on(
    gateway: Gateway, provider: FakeOpenAIServer
) -> None:
    own = {**chunk(content="Hello"), "system_fingerprint": "fp_1"}
    provider.script(StreamReply([event(own), event(chunk("stop")), DONE]))
    response = await gateway.ask(stream=True)
    assert event(own).decode() in response.text


async def test_the_own_api_gives_back_as_well(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(Reply.of("Hello [EMAIL_1]!"), StreamReply.of("Hello [EMAIL_1] !"))
    conversation = await gateway.start_conversation()
    path = f"/api/conversations/{conversation}/messages"
    body = {"model": MODEL, "content": f"I am {MINE}"}
    assert (await gateway.api.post(path, json=body)).json()["message"]["content"] == f"Hello {MINE}!"
    streamed = await gateway.api.post(path, json={**body, "content": "bob@example.org", "stream": True})
    # In a conversation that is told in parts, what the first one stands for is gone; the second one is new.
    assert "[EMAIL_1] !" in streamed.text
    shown = (await gateway.api.get(f"/api/conversations/{conversation}")).json()["messages"]
    assert [message["content"] for message in shown][:3] == ["I am [EMAIL_1]", "Hello [EMAIL_1]!", "[EMAIL_2]"]


async def test_a_prompt_is_used_by_name_in_both_apis(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    variables = {"name": "Ann", "words": 40}
    prompt = {"id": "greet", "version": "1", "variables": variables}
    text = {"role": "system", "content": "Greet {{name}} in {{words}} words."}
    body = {"messages": [text], "variables": {"words": "number"}}
    assert (await gateway.api.put("/api/templates/greet", json=body)).status_code == 200
    await gateway.sdk.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], extra_body={"prompt": prompt}
    )
    conversation = await gateway.start_conversation()
    body = {"model": MODEL, "content": "Hi", "prompt": {"id": "greet", "variables": variables}}
    assert (await gateway.api.post(f"/api/conversations/{conversation}/messages", json=body)).status_code == 200
    for request in provider.requests:
        assert [one["content"] for one in request.json["messages"]] == ["Greet Ann in 40 words.", "Hi"]
        assert "prompt" not in request.json
    requested = await gateway.events("conversation.completion_requested")
    assert [one.data["template"] for one in requested] == [{"name": "greet", "version": 1}] * 2


@pytest.mark.parametrize(
    ("further", "status", "code", "param"),
    [
        ({"prompt": {"id": "nobody"}}, 404, "template_not_found", None),
        ({"prompt": {"id": "fixed", "variables": {"x": 1}}}, 400, "invalid_request", "prompt.variables"),
        ({"prompt": {"id": "fixed", "version": "9"}}, 404, "template_version_not_found", None),
        ({"messages": ASKED * 6}, 400, "invalid_request", "messages"),
        (
            {"messages": [{"role": "user", "content": "-----BEGIN PRIVATE KEY-----\nabc"}]},
            400,
            "sensitive_data",
            "messages.0.content",
        ),
    ],
)
async def test_what_a_handler_refuses_is_said_and_not_stored(
    gateway: Gateway, provider: FakeOpenAIServer, further, status, code, param
) -> None:
    await set_template(gateway, "fixed", "Be brief.")
    await gateway.forget()
    response = await gateway.ask(**further)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert await gateway.events() == []
    assert provider.requests == []


SECRET = "-----BEGIN PRIVATE KEY-----\nabc"
PLAIN, LISTED = {"role": "user", "content": "Hi"}, [{"type": "text", "text": "Hi"}, {"type": "text", "text": SECRET}]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("chat/completions", {"messages": [PLAIN, {"role": "user", "content": LISTED}]}, "messages.1.content.1"),
        ("messages", {"system": "Be brief.", "messages": [PLAIN, {"role": "user", "content": SECRET}]},
         "messages.1.content"),
        ("messages", {"system": LISTED, "messages": [PLAIN]}, "system.1"),
        ("responses", {"instructions": "Be brief.", "input": SECRET}, "input"),
        ("responses", {"instructions": "Be brief.", "input": [PLAIN, {"role": "user", "content": SECRET}]},
         "input.1.content"),
        ("responses", {"instructions": SECRET, "input": "Hi"}, "instructions"),
        ("embeddings", {"input": ["Hi", SECRET]}, "input.1"),
        ("messages", {"messages": [PLAIN] * 6}, "messages"),
        ("responses", {"input": [PLAIN] * 6}, "input"),
    ],
)  # fmt: skip
async def test_the_field_is_named_in_the_callers_words(
    gateway: Gateway, path: str, body: dict[str, Any], param: str
) -> None:
    limit = {"max_tokens": 9} if path == "messages" else {}
    with_template = {"prompt": {"id": "fixed"}} if path == "chat/completions" else {}
    await set_template(gateway, "fixed", "Be brief.")

    response = await gateway.api.post(f"/v1/{path}", json={"model": MODEL, **limit, **with_template, **body})

    error = response.json()["error"]
    assert response.status_code == 400, response.text
    assert (error["details"] if path == "messages" else error)["param"] == param
    assert error["message"].startswith(f"{param}")
    assert "PRIVATE" not in response.text


async def test_templates_from_their_first_day_to_their_last(gateway: Gateway) -> None:
    path = "/api/templates/support"
    assert (await gateway.api.get(path)).status_code == 404
    first = {"messages": [{"role": "system", "content": "In {{n}} words."}], "variables": {"n": "number"}}
    made = (await gateway.api.put(path, json=first)).json()
    assert made == {**first, "name": "support", "version": 1, "last_version": 1, "retired": False}
    assert (await gateway.api.put(path, json=first)).json()["version"] == 1
    second = {"messages": [{"role": "system", "content": "Briefly."}]}
    assert (await gateway.api.put(path, json=second)).json()["version"] == 2
    assert (await gateway.api.get(f"{path}/versions/1")).json()["messages"] == first["messages"]
    assert (await gateway.api.get(f"{path}/versions/3")).json()["code"] == "template_version_not_found"
    listed = (await gateway.api.get("/api/templates")).json()["data"]
    assert {"name": "support", "last_version": 2, "retired": False} in listed
    assert (await gateway.api.post(f"{path}/retire", json={"reason": "old"})).json()["retired"]
    assert (await gateway.api.put(path, json=first)).status_code == 409
    assert "support" not in [one["name"] for one in (await gateway.api.get("/api/templates")).json()["data"]]
    everything = (await gateway.api.get("/api/templates", params={"retired": True})).json()["data"]
    assert "support" in [one["name"] for one in everything]
    assert (await gateway.topics())[-3:] == ["version_added", "version_added", "retired"]


@pytest.mark.parametrize(
    ("name", "body", "param"),
    [
        ("x", {"messages": [{"role": "system", "content": "{{two words}}"}]}, "messages.0.text"),
        ("x", {"messages": []}, "messages"),
        ("pmpt_1", {"messages": [{"role": "system", "content": "x"}]}, "name"),
        ("x", {"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ("x", {"messages": [{"role": "user", "content": "{{a}}"}], "variables": {"a": "date"}}, "variables.a"),
        ("x", {"messages": [{"role": "user", "content": "a"}], "variables": {"a": "text"}}, "variables.a"),
    ],
)
async def test_what_is_no_template_is_refused_with_its_field(gateway: Gateway, name, body, param) -> None:
    response = await gateway.api.put(f"/api/templates/{name}", json=body)
    assert (response.status_code, response.json()["param"]) == (400, param)


@pytest.mark.parametrize("streaming", [False, True])
async def test_no_log_holds_what_was_hidden(
    gateway: Gateway, provider: FakeOpenAIServer, log: io.BytesIO, streaming: bool
) -> None:
    provider.script(StreamReply.of("Hello [EMAIL_1] !") if streaming else Reply.of("Hello [EMAIL_1]!"))
    response = await gateway.ask(messages=ASKED, stream=streaming)
    assert MINE in response.text
    assert MINE.encode() not in log.getvalue()


async def test_openais_responses_pass_the_same_handlers(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    await set_template(gateway, "hello", "Greet {{name}}.")
    provider.script(Reply.of("Hello [EMAIL_1]!"), StreamReply.of("Again [EMAIL_2] here"))
    prompt = {"id": "hello", "version": "1", "variables": {"name": "Ann"}}
    first = await gateway.sdk.responses.create(model=MODEL, input=f"I am {MINE}", prompt=prompt)
    assert first.output_text == f"Hello {MINE}!"

    stream = await gateway.sdk.responses.create(
        model=MODEL, input="And bob@example.org?", previous_response_id=first.id, stream=True
    )
    events = [one async for one in stream]
    text = "".join(one.delta for one in events if one.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == "Again bob@example.org here"
    sent = [message["content"] for message in provider.requests[-1].json["messages"]]
    assert sent == ["Greet Ann.", "I am [EMAIL_1]", "Hello [EMAIL_1]!", "And [EMAIL_2]?"]
