"""``POST /v1/messages``, judged by the official SDK, with a provider of either format behind it."""

import asyncio
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

from gateway import MODEL, PROVIDER_KEY, Gateway, serving, settings_for
from send2llm.settings import BudgetSettings, PriceSettings
from send2llm.testing import anthropic_server as claudes, openai_server as openais
from send2llm.testing.anthropic_server import MODEL as CLAUDE, FakeAnthropicServer
from send2llm.testing.openai_server import FakeOpenAIServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

HI: Any = [{"role": "user", "content": "hello"}]
TOOL: Any = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
OLD = {"anthropic-version": "2023-06-01"}


def ask(model: str = CLAUDE, **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "messages": HI, **fields}


async def post(gateway: Gateway, body: Any, path: str = "/v1/messages", **headers: str) -> httpx2.Response:
    return await gateway.api.post(path, json=body, headers={**OLD, **headers})


@pytest.mark.parametrize("model", [CLAUDE, MODEL])
async def test_a_whole_answer(
    gateway: Gateway, anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer, provider: FakeOpenAIServer, model: str
) -> None:
    provider.script(openais.Reply.of("Good day.", reasoning_content="hm"))
    claude.script(claudes.Reply.of({"type": "thinking", "thinking": "hm", "signature": "s"}, "Good day."))
    raw = await anthropic_sdk.messages.with_raw_response.create(
        model=model, max_tokens=100, messages=HI, system="Be brief."
    )
    answer = await raw.parse()

    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[1].to_dict()["text"] == "Good day."
    assert (answer.stop_reason, answer.role, answer.type) == ("end_turn", "assistant", "message")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 4)
    assert UUID(raw.headers["x-send2llm-conversation-id"])
    assert raw.headers["x-send2llm-provider"] == ("claude" if model == CLAUDE else "fake")
    assert answer._request_id == raw.headers["x-send2llm-request-id"]
    assert await gateway.topics() == [
        "started", "message_added", "message_added", "completion_requested", "completion_received",
    ]  # fmt: skip


@pytest.mark.parametrize("model", [CLAUDE, MODEL])
async def test_a_streamed_answer_with_tools(
    anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer, provider: FakeOpenAIServer, model: str
) -> None:
    call = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}
    claude.script(claudes.StreamReply.of("Let me look.", call, stop_reason="tool_use"))
    begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    provider.script(
        openais.StreamReply(
            [
                openais.event(openais.chunk(role="assistant", content="Let me")),
                openais.event(openais.chunk(content=" look.")),
                openais.event(openais.chunk(tool_calls=[begin])),
                openais.event(openais.chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"city"'}}])),
                openais.event(openais.chunk(tool_calls=[{"index": 0, "function": {"arguments": ': "Oslo"}'}}])),
                openais.event(openais.chunk("tool_calls")),
                openais.event({**openais.chunk(), "choices": [], "usage": openais.USAGE}),
                openais.DONE,
            ]
        )
    )
    async with anthropic_sdk.messages.stream(model=model, max_tokens=100, messages=HI, tools=[TOOL]) as stream:
        kinds = [event.type async for event in stream]
        answer = await stream.get_final_message()

    assert [block.to_dict() for block in answer.content] == [
        {"type": "text", "text": "Let me look."}, {**call},
    ]  # fmt: skip
    assert answer.stop_reason == "tool_use"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 4)
    assert {"text", "input_json", "content_block_stop", "message_stop"} <= set(kinds)


@pytest.mark.parametrize("model", [CLAUDE, MODEL])
async def test_the_synchronous_sdk(gateway: Gateway, model: str) -> None:
    def talk() -> tuple[str, str]:
        with Anthropic(base_url=gateway.address, api_key="none", max_retries=0) as sdk:
            whole = sdk.messages.create(model=model, max_tokens=100, messages=HI)
            with sdk.messages.stream(model=model, max_tokens=100, messages=HI) as stream:
                return whole.content[0].to_dict()["text"], "".join(stream.text_stream)  # type: ignore[return-value]

    assert await asyncio.to_thread(talk) == ("Hello!", "Hello!")


async def test_structured_answers(anthropic_sdk: AsyncAnthropic, provider: FakeOpenAIServer) -> None:
    class Weather(BaseModel):
        city: str

    provider.script(openais.Reply.of('{"city": "Oslo"}'))
    answer = await anthropic_sdk.messages.parse(model=MODEL, max_tokens=100, messages=HI, output_format=Weather)
    assert answer.parsed_output == Weather(city="Oslo")
    sent = provider.requests[0].json["response_format"]
    assert sent["json_schema"]["schema"]["required"] == ["city"]


async def test_a_provider_of_the_same_format_gets_and_gives_what_was_said(
    gateway: Gateway, claude: FakeAnthropicServer
) -> None:
    reply = claudes.Reply.of("Hi", stop_reason="pause_turn", container={"id": "c1"}, x_new={"y": 1})
    stream = claudes.StreamReply.of("one two", stop_reason="stop_sequence", stop_sequence="END")
    claude.script(reply, stream)
    fields = {"metadata": {"user_id": "u"}, "container": "c1", "x_new": 1, "temperature": 0.5}
    whole = await post(gateway, ask(**fields), **{"anthropic-beta": "b1,b2"})
    streamed = await post(gateway, ask(stream=True))

    assert whole.content == reply.body
    assert streamed.content == b"".join(piece for piece in stream.pieces if isinstance(piece, bytes))
    assert streamed.headers["content-type"].startswith("text/event-stream")
    sent = claude.requests[0]
    assert sent.json == ask(**fields)
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.headers["anthropic-beta"] == "b1,b2"
    assert sent.headers["x-api-key"] == PROVIDER_KEY


async def test_the_version_that_a_caller_speaks_goes_on(
    anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer
) -> None:
    await anthropic_sdk.beta.messages.create(model=CLAUDE, max_tokens=5, messages=HI, betas=["context-1m-2025-08-07"])
    assert claude.requests[0].headers["anthropic-version"] == "2026-10-21"
    assert claude.requests[0].headers["anthropic-beta"] == "context-1m-2025-08-07"
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        await anthropic_sdk.messages.create(model=CLAUDE, max_tokens=5, messages=HI, extra_body={"temperature": 1})


async def test_an_answer_is_given_again_for_the_same_key(gateway: Gateway, claude: FakeAnthropicServer) -> None:
    claude.script(claudes.Reply.of("x", stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"}))
    first = await post(gateway, ask(), **{"idempotency-key": "again"})
    second = await post(gateway, ask(), **{"idempotency-key": "again"})
    streamed = await post(gateway, ask(stream=True), **{"idempotency-key": "again"})
    for name in ("id", "model", "content", "stop_reason", "stop_details"):
        assert second.json()[name] == first.json()[name]
    assert b'"category":"bio"' in streamed.content
    assert len(claude.requests) == 1


# Errors


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        (b"{", 400, "invalid_request_error", "not valid JSON"),
        (b"[]", 400, "invalid_request_error", "not a JSON object"),
        (json.dumps({"model": CLAUDE, "messages": HI}).encode(), 400, "invalid_request_error", "max_tokens"),
        (json.dumps(ask(messages=[{"role": "tool"}])).encode(), 400, "invalid_request_error", "messages.0.role"),
        (json.dumps(ask("nobody/nothing")).encode(), 404, "not_found_error", "nobody/nothing"),
        (json.dumps(ask(MODEL, container="c")).encode(), 400, "invalid_request_error", "container"),
    ],
)
async def test_errors_are_in_anthropics_shape(
    gateway: Gateway, body: bytes, status: int, kind: str, words: str
) -> None:
    response = await gateway.api.post("/v1/messages", content=body)
    shown = response.json()
    assert response.status_code == status
    assert (shown["type"], shown["error"]["type"]) == ("error", kind)
    assert words in shown["error"]["message"]
    assert shown["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, anthropic.RateLimitError),
        (529, anthropic.ServiceUnavailableError),
        (400, anthropic.BadRequestError),
        (404, anthropic.NotFoundError),
        (401, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_of_the_provider(
    anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer, status: int, error: type[Exception], stream: bool
) -> None:
    claude.script(*[claudes.ErrorReply(status, {"retry-after": "0"}, message="oh")] * 2)
    with pytest.raises(error, match="oh"):
        await anthropic_sdk.messages.create(model=CLAUDE, max_tokens=9, messages=HI, stream=stream)


async def test_an_error_in_mid_stream(anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer) -> None:
    begin = claudes.events_of(claudes.message(claudes.text("half")))[:4]
    overloaded = claudes.event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    claude.script(claudes.StreamReply([*begin, overloaded]))
    seen: list[str] = []

    async def listen() -> None:
        async with anthropic_sdk.messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as stream:
            async for word in stream.text_stream:
                seen.append(word)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(anthropic.APIStatusError) as caught:
        await listen()
    assert seen == ["half"]
    assert caught.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index, call-overload]


async def test_a_budget_that_has_not_enough_left_refuses_with_its_numbers(
    migrated: Any, provider_url: str, provider: FakeOpenAIServer
) -> None:
    prices = {f"fake/{MODEL}": PriceSettings(input=Decimal(1), output=Decimal(2))}
    settings = settings_for(migrated, provider_url, prices=prices, budgets=BudgetSettings(recall_seconds=0))
    async with serving(settings) as gateway, AsyncAnthropic(base_url=gateway.address, api_key="x") as sdk:
        budget = {"scope": {"provider": "fake"}, "limit_usd": "0.000001", "period": "month"}
        assert (await gateway.api.post("/api/budgets", json=budget)).status_code == 201
        with pytest.raises(anthropic.RateLimitError) as caught:
            await sdk.messages.create(model=MODEL, max_tokens=100, messages=HI)
    error = caught.value.body["error"]  # type: ignore[index, call-overload]
    assert error["type"] == "rate_limit_error"
    assert error["details"]["error_code"] == "budget_exceeded"
    assert error["details"]["budget"]["limit_usd"] == "0.000001"
    assert provider.requests == []


async def test_what_coding_agents_send_fits_a_budget(migrated: Any, provider_url: str, claude_url: str) -> None:
    """Their fields and blocks cost nothing that the tokens do not cover."""
    prices = {f"fake/{CLAUDE}": PriceSettings(input=Decimal(1), output=Decimal(2), cache_write_1h=Decimal(4))}
    providers = {"fake": {"format": "anthropic", "base_url": claude_url, "api_key": "k"}}
    async with serving(settings_for(migrated, provider_url, prices=prices, providers=providers)) as gateway:
        budget = {"scope": {"provider": "fake"}, "limit_usd": "1", "period": "month"}
        assert (await gateway.api.post("/api/budgets", json=budget)).status_code == 201
        fields = {
            "system": [{"type": "text", "text": "x-anthropic-billing-header: cch=1;"},
                       {"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"},
            "metadata": {"user_id": "u"}, "tools": [TOOL], "service_tier": "auto",
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        }  # fmt: skip
        response = await post(gateway, ask(f"fake/{CLAUDE}", **fields), **{"anthropic-beta": "x"})
        assert response.status_code == 200, response.text
        refused = await post(gateway, ask(f"fake/{CLAUDE}", inference_geo="us"))
        assert (refused.status_code, refused.json()["error"]["details"]["param"]) == (400, "inference_geo")


# Counting, and lists of models


async def test_tokens_are_counted_by_the_provider_or_estimated(
    gateway: Gateway, anthropic_sdk: AsyncAnthropic, claude: FakeAnthropicServer
) -> None:
    counted = await anthropic_sdk.messages.with_raw_response.count_tokens(model=CLAUDE, messages=HI, tools=[TOOL])
    guessed = await anthropic_sdk.messages.with_raw_response.count_tokens(model=MODEL, messages=HI, tools=[TOOL])

    assert ((await counted.parse()).input_tokens, "x-send2llm-estimated" in counted.headers) == (14, False)
    assert (await guessed.parse()).input_tokens > 20
    assert guessed.headers["x-send2llm-estimated"] == "true"
    assert [request.path for request in claude.requests] == ["/v1/messages/count_tokens"]
    assert await gateway.topics() == []


async def test_counting_fails_in_anthropics_shape_and_only_for_good_reason(
    gateway: Gateway, claude: FakeAnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"model": CLAUDE, "messages": HI}
    path = "/v1/messages/count_tokens"
    for status, expected in ((529, 200), (404, 404), (401, 502)):
        monkeypatch.setattr(claude, "at_once", lambda _, status=status: claudes.ErrorReply(status))
        response = await post(gateway, body, path)
        assert response.status_code == expected
        assert ("x-send2llm-estimated" in response.headers) == (expected == 200)
        assert response.json().get("type") == (None if expected == 200 else "error")
    unknown = await post(gateway, {**body, "model": "nobody/x"}, path)
    assert unknown.json()["error"]["type"] == "not_found_error"
    assert (await post(gateway, {}, path)).json()["error"]["details"]["param"] == "model"
    assert (await gateway.api.get(path, headers=OLD)).json()["type"] == "error"


async def test_models_in_anthropics_shape(gateway: Gateway, anthropic_sdk: AsyncAnthropic) -> None:
    names = [model.id async for model in anthropic_sdk.models.list(limit=1)]
    assert set(names) == {f"claude/{CLAUDE}", f"fake/{MODEL}"}
    page = await anthropic_sdk.models.list(limit=1)
    assert (page.has_more, page.first_id, page.last_id) == (True, names[0], names[0])
    assert [model.id async for model in anthropic_sdk.models.list(limit=1, before_id=names[-1])] == names[:-1]
    assert [model.id async for model in anthropic_sdk.models.list(limit=1000)] == names
    with pytest.raises(anthropic.BadRequestError, match="after_id: there is no model 'gone'"):
        await anthropic_sdk.models.list(after_id="gone")
    for limit in (0, 1001):
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            await anthropic_sdk.models.list(limit=limit)
    one = await anthropic_sdk.models.retrieve(CLAUDE)
    assert (one.id, one.type, one.display_name) == (f"claude/{CLAUDE}", "model", f"claude/{CLAUDE}")
    with pytest.raises(anthropic.NotFoundError) as caught:
        await anthropic_sdk.models.retrieve("nothing")
    assert caught.value.body["error"]["type"] == "not_found_error"  # type: ignore[index, call-overload]
    openai = (await gateway.api.get("/v1/models")).json()
    assert openai["object"] == "list"


async def test_either_header_shows_the_key(migrated: Any, provider_url: str) -> None:
    settings = settings_for(migrated, provider_url, api_key="the-key")
    async with serving(settings) as gateway, httpx2.AsyncClient(base_url=gateway.address, trust_env=False) as bare:
        for headers in ({"x-api-key": "the-key"}, {"authorization": "Bearer the-key"}):
            assert (await bare.post("/v1/messages", json=ask(MODEL), headers=headers)).status_code == 200
        refused = await bare.post("/v1/messages", json=ask(MODEL), headers={"x-api-key": "wrong"})
        listed = await bare.get("/v1/models", headers={**OLD, "x-api-key": "wrong"})
    for response in (refused, listed):
        assert response.status_code == 401
        assert response.json()["error"]["type"] == "authentication_error"
