"""Whatever comes in: a clear error in the caller's format, and nothing of it recorded.

A long file, because most of it is tables of bad things, one for each place where they can come in.
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from gateway import HELLO, MODEL, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings
from send2llm.testing.openai_server import FakeOpenAIServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
TWENTY_MEGABYTES = 20 * 1024 * 1024
DEEP = 5_000
"""Levels of nesting that no parser follows."""
DEEPER_THAN_STORABLE = 600
"""Levels of nesting that a parser follows, and a writer does not."""


def chat(**fields: Any) -> bytes:
    return orjson.dumps({"model": MODEL, "messages": HELLO} | fields)


def saying(text: bytes) -> bytes:
    """A call with text that no JSON writer would write."""
    return b'{"model": "%s", "messages": [{"role": "user", "content": "%s"}]}' % (MODEL.encode(), text)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


BAD_CALLS = {
    "no body": (b"", 400, None),
    "cut off": (b'{"model": "m", "mess', 400, None),
    "no object": (b"[1, 2]", 400, None),
    "a number": (b"7", 400, None),
    "invalid UTF-8": (saying(b"\xff\xfe"), 400, None),
    "half of a surrogate pair": (saying(rb"\ud800"), 400, None),
    "a control character": (saying(b"\x01"), 400, None),
    "NaN": (b'{"model": "m", "temperature": NaN}', 400, None),
    "very deep": (b'{"model": "m", "x": %s}' % nested(DEEP), 400, None),
    "too deep to store": (chat()[:-1] + b', "metadata": {"x": %s}}' % nested(DEEPER_THAN_STORABLE), 400, None),
    "too deep to store, in a message": (
        b'{"model": "%s", "messages": [{"role": "user", "content": "hi", "x": %s}]}'
        % (MODEL.encode(), nested(DEEPER_THAN_STORABLE)),
        400,
        None,
    ),
    "no model": (orjson.dumps({"messages": HELLO}), 400, "model"),
    "an empty model": (chat(model=""), 400, "model"),
    "a model that is a number": (chat(model=7), 400, "model"),
    "no messages": (orjson.dumps({"model": MODEL}), 400, "messages"),
    "empty messages": (chat(messages=[]), 400, "messages"),
    "messages that are text": (chat(messages="hello"), 400, "messages"),
    "a message that is text": (chat(messages=["hello"]), 400, "messages.0"),
    "no role": (chat(messages=[{"content": "hello"}]), 400, "messages.0.role"),
    "an unknown role": (chat(messages=[{"role": "robot", "content": "x"}]), 400, "messages.0.role"),
    "no content": (chat(messages=[{"role": "user"}]), 400, "messages.0.content"),
    "content that is a number": (chat(messages=[{"role": "user", "content": 7}]), 400, "messages.0.content"),
    "a part without its type": (chat(messages=[{"role": "user", "content": [{}]}]), 400, "messages.0.content.0.type"),
    "a temperature that is text": (chat(temperature="hot"), 400, "temperature"),
    "a limit that is text": (chat(max_tokens="many"), 400, "max_tokens"),
    "stream that is text": (chat(stream="yes"), 400, "stream"),
    "no choices": (chat(n=0), 400, "n"),
    "tools that are no list": (chat(tools={"a": 1}), 400, "tools"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
async def test_a_bad_call(gateway: Gateway, case: str) -> None:
    body, status, param = BAD_CALLS[case]
    response = await gateway.api.post("/v1/chat/completions", content=body, headers=JSON)

    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error["param"] == param
    assert await gateway.events() == []


BAD_MESSAGES = {
    "no body": (b"", None),
    "cut off": (b'{"model": "m", "cont', None),
    "no object": (b"[1, 2]", None),
    "invalid UTF-8": (b'{"model": "m", "content": "\xff\xfe"}', None),
    "half of a surrogate pair": (rb'{"model": "m", "content": "\ud800"}', None),
    "half of a surrogate pair in a part": (
        rb'{"model": "m", "content": [{"type": "text", "text": "\ud800"}]}',
        None,
    ),
    "very deep": (b'{"model": "m", "content": "x", "tool_choice": {"x": %s}}' % nested(DEEP), None),
    "too deep to store": (
        b'{"model": "m", "content": "x", "tool_choice": {"x": %s}}' % nested(DEEPER_THAN_STORABLE),
        None,
    ),
    "NaN": (b'{"model": "m", "content": "x", "temperature": NaN}', None),
    "an endless number": (b'{"model": "m", "content": "x", "temperature": 1e999}', None),
    "a number of thirty digits": (b'{"model": "m", "content": "x", "seed": 1%s}' % (b"0" * 30), None),
    "no model": (b'{"content": "x"}', "model"),
    "neither content nor messages": (b'{"model": "m"}', None),
    "both content and messages": (b'{"model": "m", "content": "x", "messages": []}', None),
    "empty messages": (b'{"model": "m", "messages": []}', "messages"),
    "an empty list of parts": (b'{"model": "m", "content": []}', None),
    "an unknown role": (b'{"model": "m", "messages": [{"role": "robot", "content": "x"}]}', "messages.0.role"),
    "a limit that is text": (b'{"model": "m", "content": "x", "max_output_tokens": "many"}', "max_output_tokens"),
    "an unknown field": (b'{"model": "m", "content": "x", "colour": "red"}', "colour"),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
async def test_a_bad_message(gateway: Gateway, case: str) -> None:
    body, param = BAD_MESSAGES[case]
    conversation = await gateway.start_conversation()
    await gateway.forget()
    response = await gateway.api.post(f"/api/conversations/{conversation}/messages", content=body, headers=JSON)

    _assert_problem(response, 400)
    if param is not None:
        assert response.json()["param"] == param
    assert await gateway.events() == []


BAD_STARTS = {
    "labels that are no object": b'{"labels": ["a"]}',
    "a label that is a number": b'{"labels": {"a": 7}}',
    "too many labels": orjson.dumps({"labels": {str(n): "x" for n in range(65)}}),
    "an id that is none": b'{"id": "seven"}',
    "an unknown field": b'{"label": {}}',
    "half of a surrogate pair": rb'{"labels": {"a": "\ud800"}}',
    "half of a surrogate pair in a name": rb'{"labels": {"\ud800": "a"}}',
    "cut off": b'{"lab',
    "invalid UTF-8": b'{"labels": {"a": "\xff"}}',
    "very deep": nested(DEEP),
}


@pytest.mark.parametrize("case", BAD_STARTS)
async def test_a_bad_start(gateway: Gateway, case: str) -> None:
    response = await gateway.api.post("/api/conversations", content=BAD_STARTS[case], headers=JSON)
    _assert_problem(response, 400)
    assert await gateway.events() == []


BAD_FEEDBACK = {
    "no score": b"{}",
    "too good": b'{"score": 1.5}',
    "too bad": b'{"score": -2}',
    "NaN": b'{"score": NaN}',
    "no number": b'{"score": "good"}',
    "more digits than a database holds": b'{"score": "0.%s"}' % (b"1" * 20_000),
    "a small number of many digits": b'{"score": "1e-20000"}',
    "a completion that is no id": b'{"score": 1, "completion_id": "x"}',
    "an endless comment": orjson.dumps({"score": 1, "comment": "x" * 10_001}),
    "half of a surrogate pair": rb'{"score": 1, "comment": "\udfff"}',
}


@pytest.mark.parametrize("case", BAD_FEEDBACK)
async def test_bad_feedback(gateway: Gateway, case: str) -> None:
    conversation = await gateway.start_conversation()
    await gateway.forget()
    response = await gateway.api.post(
        f"/api/conversations/{conversation}/feedback", content=BAD_FEEDBACK[case], headers=JSON
    )
    _assert_problem(response, 400)
    assert await gateway.events() == []


BAD_QUERIES = [
    "/api/conversations?limit=0",
    "/api/conversations?limit=501",
    "/api/conversations?limit=many",
    "/api/conversations?cursor=nonsense",
    "/api/conversations?cursor=%00",
    "/api/conversations?cursor=\N{SNOWMAN}",
    "/api/conversations?state=asleep",
    "/api/conversations?started_after=yesterday",
    "/api/conversations?started_after=2026-11-23T12:00:00",
    "/api/events?after=-1",
    "/api/events?topic=%00",
    "/api/events?limit=0",
    "/api/events?limit=1001",
    "/api/events?after=%C2%B2",
    "/api/conversations/seven",
    "/api/conversations/seven/events",
    "/api/conversations/{id}?at=soon",
    "/api/conversations/{id}?at=%C2%B2",
    "/api/conversations/{id}?at=-1",
    "/api/conversations/{id}?at=2026-11-23T12:00:00",
    "/api/conversations/{id}?at=" + "9" * 5000,
    "/api/conversations/{id}/events?after=-1",
    "/api/conversations/{id}/events?limit=0",
    "/api/events?after=9223372036854775807",
    "/api/events?after=99999999999999999999",
]


@pytest.mark.parametrize("path", BAD_QUERIES)
async def test_a_bad_query(gateway: Gateway, path: str) -> None:
    conversation = await gateway.start_conversation()
    response = await gateway.api.get(path.replace("{id}", conversation))
    _assert_problem(response, 400)


ODD_QUERIES = [
    "/api/conversations?q=%00",
    "/api/conversations?q=%25_%5C",
    "/api/conversations?model=%00",
    "/api/conversations?provider=" + "x" * 5000,
    "/api/conversations?q=%FF",
    "/api/conversations?started_after=0001-01-01T00:00:00%2B14:00",
    "/api/events?topic=none.such",
    "/api/conversations/{id}/events?after=9223372036854775808",
]


@pytest.mark.parametrize("path", ODD_QUERIES)
async def test_an_odd_query_is_a_question_like_any_other(gateway: Gateway, path: str) -> None:
    conversation = await gateway.start_conversation()
    response = await gateway.api.get(path.replace("{id}", conversation))
    assert response.status_code == 200, response.text
    assert isinstance(response.json()["data"], list)


async def test_a_version_beyond_the_last_has_not_come_yet(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation()
    response = await gateway.api.get(f"/api/conversations/{conversation}?at=99999999999999999999")
    assert (response.status_code, response.json()["param"]) == (400, "at")


TAKING_BODIES = [
    "/v1/chat/completions",
    "/api/conversations",
    "/api/conversations/{id}/messages",
    "/api/conversations/{id}/feedback",
    "/api/conversations/{id}/close",
    "/api/nothing",
]


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize("path", TAKING_BODIES)
async def test_a_body_of_20_megabytes(gateway: Gateway, path: str, announced: bool) -> None:
    conversation = await gateway.start_conversation()
    await gateway.forget()
    piece = b" " * 65536
    pieces = TWENTY_MEGABYTES // len(piece)
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(pieces):
            sent += len(piece)
            yield piece

    headers = JSON | ({"content-length": str(pieces * len(piece))} if announced else {})
    response = await gateway.api.post(path.replace("{id}", conversation), content=body(), headers=headers)

    assert response.status_code == 413
    if path.startswith("/v1"):
        assert response.json()["error"]["code"] == "body_too_large"
    else:
        _assert_problem(response, 413)
        assert response.json()["code"] == "body_too_large"
    assert await gateway.events() == []
    assert (await gateway.ask()).status_code == 200  # the service takes the next request


async def test_a_body_just_below_the_limit_is_taken(gateway: Gateway) -> None:
    text = "x" * (gateway.settings.max_body_bytes - 1000)
    response = await gateway.ask(messages=[{"role": "user", "content": text}])
    assert response.status_code == 200
    assert "completion_received" in await gateway.topics()


async def test_an_unknown_model(module_database: ConnectionInfo, provider_url: str) -> None:
    listed = {"fake": ProviderSettings(base_url=provider_url, models=(MODEL,), only_listed=True)}
    async with serving(settings_for(module_database, provider_url, providers=listed)) as gateway:
        conversation = await gateway.start_conversation()
        await gateway.forget()
        for stream in (False, True):
            response = await gateway.ask(model="nope", stream=stream)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
            body = {"model": "fake/nope", "content": "x", "stream": stream}
            response = await gateway.api.post(f"/api/conversations/{conversation}/messages", json=body)
            _assert_problem(response, 404)
            assert response.json()["code"] == "model_not_found"
        response = await gateway.api.get("/v1/models/nope")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
        assert await gateway.events() == []


async def test_a_model_without_a_name(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation()
    await gateway.forget()
    assert (await gateway.ask(model="")).status_code == 400
    response = await gateway.api.post(f"/api/conversations/{conversation}/messages", json={"model": "", "content": "x"})
    _assert_problem(response, 400)
    assert await gateway.events() == []


async def test_a_model_with_a_very_long_name(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    assert (await gateway.ask(model="x" * 100_000)).status_code == 200
    assert provider.requests[-1].json["model"] == "x" * 100_000


async def test_what_is_not_there_says_where_to_look(gateway: Gateway) -> None:
    """Errors that no code of ours raises tell what to do, too."""
    for path, told in (("/v1/nothing", "error"), ("/api/nothing", None)):
        response = await gateway.api.get(path)
        assert response.status_code == 404
        body = response.json()[told] if told else response.json()
        assert body["code"] == "not_found"
        assert "/docs" in (body["message"] if told else body["detail"])
    response = await gateway.api.delete("/v1/chat/completions")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "Allow" in response.json()["error"]["message"]


async def test_an_unknown_conversation(gateway: Gateway) -> None:
    nobody = str(uuid4())
    responses = [
        await gateway.api.get(f"/api/conversations/{nobody}"),
        await gateway.api.get(f"/api/conversations/{nobody}?at=1"),
        await gateway.api.get(f"/api/conversations/{nobody}/events"),
        await gateway.api.post(f"/api/conversations/{nobody}/messages", json={"model": MODEL, "content": "x"}),
        await gateway.api.post(
            f"/api/conversations/{nobody}/messages", json={"model": MODEL, "content": "x", "stream": True}
        ),
        await gateway.api.post(f"/api/conversations/{nobody}/feedback", json={"score": 1}),
        await gateway.api.post(f"/api/conversations/{nobody}/close"),
    ]
    for response in responses:
        _assert_problem(response, 404)
        assert response.json()["code"] == "conversation_not_found"

    for stream in (False, True):
        response = await gateway.api.post(
            "/v1/chat/completions",
            content=chat(stream=stream),
            headers=JSON | {"x-send2llm-conversation-id": nobody},
        )
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "conversation_not_found"
    assert await gateway.events() == []


async def test_a_closed_conversation(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation()
    await gateway.api.post(f"/api/conversations/{conversation}/close")
    await gateway.forget()
    response = await gateway.api.post(
        f"/api/conversations/{conversation}/messages", json={"model": MODEL, "content": "x"}
    )
    _assert_problem(response, 409)
    assert response.json()["code"] == "conversation_closed"

    response = await gateway.api.post(
        "/v1/chat/completions", content=chat(), headers=JSON | {"x-send2llm-conversation-id": conversation}
    )
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "conversation_closed"
    assert await gateway.events() == []


BAD_HEADERS = [
    {"x-send2llm-conversation-id": "seven"},
    {"x-send2llm-conversation-id": b"\xff"},
    {"idempotency-key": ""},
    {"idempotency-key": "x" * 256},
]


@pytest.mark.parametrize("headers", BAD_HEADERS)
async def test_a_bad_header(gateway: Gateway, headers: dict[str, Any]) -> None:
    response = await gateway.api.post("/v1/chat/completions", content=chat(), headers=JSON | headers)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert await gateway.events() == []


async def test_an_unknown_completion(gateway: Gateway) -> None:
    conversation = await gateway.start_conversation()
    await gateway.forget()
    response = await gateway.api.post(
        f"/api/conversations/{conversation}/feedback", json={"score": 1, "completion_id": str(uuid4())}
    )
    _assert_problem(response, 404)
    assert response.json()["code"] == "completion_not_found"
    assert await gateway.events() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
    ],
)
async def test_a_route_that_is_none_under_v1(gateway: Gateway, method: str, path: str, status: int) -> None:
    response = await gateway.api.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/api/nothing", 404), ("PUT", "/api/conversations", 405), ("GET", "/", 404)]
)
async def test_a_route_that_is_none_elsewhere(gateway: Gateway, method: str, path: str, status: int) -> None:
    _assert_problem(await gateway.api.request(method, path), status)


async def test_odd_text_is_kept_through_the_whole_service(gateway: Gateway) -> None:
    """NUL characters, which PostgreSQL's text refuses, characters beyond the first plane, and our own marks."""
    odd = "nul \0 tab \t \N{BOM}\N{GRINNING FACE} \ufdd0 0041 \u2028 end"
    name = "label \0"
    conversation = await gateway.start_conversation(labels={name: odd})
    with gateway.projecting():
        sent = {"model": MODEL, "content": odd}
        answered = await gateway.api.post(f"/api/conversations/{conversation}/messages", json=sent)
        assert answered.status_code == 200
        judged = await gateway.api.post(
            f"/api/conversations/{conversation}/feedback", json={"score": 1, "comment": odd}
        )
        assert judged.status_code == 204
        odd_model = f"fake/odd \0 {'x' * 5000} \N{SNOWMAN}"
        hostile = await gateway.ask(model=odd_model, user=odd)
        assert hostile.status_code == 200
        await gateway.history_is_complete()

    shown = (await gateway.api.get(f"/api/conversations/{conversation}")).json()
    assert shown["messages"][0]["content"] == odd
    assert shown["labels"] == {name: odd}
    happened = (await gateway.api.get(f"/api/conversations/{conversation}/events")).json()["data"]
    assert happened[1]["data"]["message"]["parts"][0]["text"] == odd
    listed = (await gateway.api.get("/api/conversations", params={"q": "nul \0 tab"})).json()["data"]
    assert [one["id"] for one in listed] == [conversation]
    assert (await gateway.api.get("/api/projections")).json()["data"][0]["error"] is None


def _assert_problem(response: Any, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert problem["code"]
