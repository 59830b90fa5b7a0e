"""Callers speak OpenAI's format, and providers their own: nothing gets lost in between, and the cost is exact."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import RateLimitError

from gateway import Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import PriceSettings, ProviderSettings
from send2llm.testing import bedrock_server, cohere_server, ollama_server
from send2llm.testing.provider_server import FakeProviderServer, Reply, StreamReply, running

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
PRICES = {"input": "3", "output": "15", "cache_read": "0.3", "cache_write": "3.75", "cache_write_1h": "6"}


def reply_of(server: FakeProviderServer, *, stream: bool) -> Reply | StreamReply:
    """A thought, and a call of a tool; 125 tokens read, 100 from the cache, 20 into it (12 for an hour); 7 written."""
    if isinstance(server, bedrock_server.FakeBedrockServer):
        thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}
        use = {"toolUse": {"toolUseId": "call_1", "name": "look", "input": {"at": "ü"}}}
        details = [{"ttl": "1h", "inputTokens": 12}, {"ttl": "5m", "inputTokens": 8}]
        cached = {"cacheReadInputTokens": 100, "cacheWriteInputTokens": 20, "cacheDetails": details}
        usage = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 132, **cached}
        if stream:
            return StreamReply(bedrock_server.answer_events([thought, use], usage=usage))
        return Reply.json(bedrock_server.answer([thought, use], usage=usage))
    if isinstance(server, cohere_server.FakeCohereServer):
        message = {"tool_plan": "hm", "tool_calls": [cohere_server.call("call_1", "look", '{"at":"ü"}')]}
        usage = {"billed_units": {"input_tokens": 125, "output_tokens": 7}, "cached_tokens": 100}
        if stream:
            return StreamReply(cohere_server.answer_events(message, usage=usage))
        return Reply.json(cohere_server.answer(message, usage=usage))
    message = {"thinking": "hm", "tool_calls": [ollama_server.call("call_1", "look", {"at": "ü"})]}
    usage = {"prompt_eval_count": 125, "eval_count": 7}
    if stream:
        return StreamReply(ollama_server.answer_lines(message, usage=usage))
    return Reply.json(ollama_server.answer(message, usage=usage))


SERVERS = {
    "bedrock": bedrock_server.FakeBedrockServer,
    "cohere": cohere_server.FakeCohereServer,
    "ollama": ollama_server.FakeOllamaServer,
}
KEYS = {"bedrock": bedrock_server.BEARER_KEY, "cohere": "cohere-key-0123456789"}
COSTS = {
    "bedrock": "0.000252",  # 5 x 3 + 100 x 0.3 + 8 x 3.75 + 12 x 6 + 7 x 15, a million times less
    "cohere": "0.00021",  # 25 x 3 + 100 x 0.3 + 7 x 15
    "ollama": "0.00048",  # 125 x 3 + 7 x 15
}
THOUGHTS = {
    "bedrock": {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
    "cohere": "hm",
    "ollama": "hm",
}


@asynccontextmanager
async def service(name: str, database: ConnectionInfo) -> AsyncIterator[tuple[FakeProviderServer, Gateway]]:
    server = SERVERS[name]()
    async with running(server, "") as base_url:
        provider = ProviderSettings(
            preset=name,
            base_url=base_url,
            api_key=KEYS.get(name),
            options={"region": "us-east-1"} if name == "bedrock" else {},
        )
        prices = {f"{name}/fake": PriceSettings(**PRICES)}
        async with serving(settings_for(database, base_url, providers={name: provider}, prices=prices)) as gateway:
            yield server, gateway


def thought_in(name: str, body: Any) -> Any:
    """The model's own thought, as the provider gets it back."""
    (answered,) = (message for message in body["messages"] if message["role"] == "assistant")
    if name == "bedrock":
        return answered["content"][0]
    return answered["tool_plan" if name == "cohere" else "thinking"]


@pytest.mark.parametrize("name", SERVERS)
async def test_a_tool_is_called_and_its_result_goes_back_with_the_thought(
    name: str, module_database: ConnectionInfo
) -> None:
    async with service(name, module_database) as (server, gateway):
        asked: list[Any] = [{"role": "user", "content": f"hello {name}"}]
        server.script(reply_of(server, stream=False))
        raw = await gateway.sdk.chat.completions.with_raw_response.create(
            model=f"{name}/fake", messages=asked, tools=[TOOL]
        )
        answered = raw.parse().choices[0]
        assert answered.message.tool_calls is not None
        (call,) = answered.message.tool_calls
        server.script()
        asked += [
            answered.message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "nothing"},
        ]
        again = await gateway.sdk.chat.completions.create(model=f"{name}/fake", messages=asked, tools=[TOOL])

    assert raw.headers["x-send2llm-cost-usd"] == COSTS[name]
    assert answered.finish_reason == "tool_calls"
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == ("call_1", "look", {"at": "ü"})
    assert again.choices[0].message.content == "Hello!"
    assert thought_in(name, server.requests[-1].json) == THOUGHTS[name]
    assert "nothing" in server.requests[-1].body.decode()


@pytest.mark.parametrize("name", SERVERS)
async def test_a_stream_has_the_same_and_no_empty_chunks(name: str, module_database: ConnectionInfo) -> None:
    async with service(name, module_database) as (server, gateway):
        await gateway.forget()
        server.script(reply_of(server, stream=True))
        stream = await gateway.sdk.chat.completions.create(
            model=f"{name}/fake",
            messages=[{"role": "user", "content": f"stream, {name}"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        *chunks, last = [chunk async for chunk in stream]
        (ended,) = await gateway.events("conversation.completion_received")

    deltas = [chunk.choices[0].delta for chunk in chunks]
    pieces = [piece for delta in deltas for piece in delta.tool_calls or []]
    assert json.loads("".join(piece.function.arguments or "" for piece in pieces if piece.function)) == {"at": "ü"}
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "hm"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["tool_calls"]
    assert all(
        chunk.choices[0].finish_reason or chunk.choices[0].delta.model_dump(exclude_none=True) for chunk in chunks
    )
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (125, 7)
    assert ended.data["cost_usd"] == COSTS[name]


async def test_what_bedrock_cannot_say_is_refused_before_it_is_asked(module_database: ConnectionInfo) -> None:
    async with service("bedrock", module_database) as (server, gateway):
        response = await gateway.api.post(
            "/v1/chat/completions",
            json={"model": "bedrock/fake", "messages": [{"role": "user", "content": "seed"}], "seed": 1},
        )

    assert response.status_code == 400
    assert "'seed' cannot be said in Amazon Bedrock's Converse" in response.json()["error"]["message"]
    assert server.requests == []


async def test_a_throttled_provider_is_told_to_the_caller(module_database: ConnectionInfo) -> None:
    async with service("bedrock", module_database) as (server, gateway):
        server.script(*[bedrock_server.ErrorReply(429, "ThrottlingException", "Too many tokens")] * 2)
        with pytest.raises(RateLimitError, match="Too many tokens"):
            await gateway.sdk.chat.completions.create(
                model="bedrock/fake", messages=[{"role": "user", "content": "throttled"}]
            )
