"""Clients of OpenAI's format talk to Gemini: a loop with tools, a stream, a picture, what it cost."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway import Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings
from send2llm.testing.gemini_server import FakeGeminiServer, Reply, StreamReply, candidate, event, response, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "google/gemini-2.5-flash"
THINKING = "google/gemini-3-pro-preview"
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "thoughtsTokenCount": 900, "totalTokenCount": 2000}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def google() -> FakeGeminiServer:
    return FakeGeminiServer()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    google: FakeGeminiServer, clean_environment: None, module_database: ConnectionInfo
) -> AsyncIterator[Gateway]:
    async with running(google, "/v1beta") as base_url:
        settings = ProviderSettings(
            format="gemini", base_url=base_url, api_key="AIza-test-0123456789", price_provider="google"
        )
        async with serving(settings_for(module_database, base_url, providers={"google": settings})) as gateway:
            yield gateway


@pytest.fixture(autouse=True)
def nothing_asked(google: FakeGeminiServer) -> None:
    google.script()
    google.requests.clear()


async def test_a_loop_with_tools_keeps_the_signature_that_the_client_never_saw(
    service: Gateway, google: FakeGeminiServer
) -> None:
    call = {"functionCall": {"name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": "U2ln"}
    google.script(Reply.of("", call), Reply.of("Sunny."))
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]

    asked = await service.sdk.chat.completions.create(model=THINKING, messages=messages, tools=[TOOL])  # type: ignore[list-item]
    message = asked.choices[0].message
    assert asked.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    called = message.tool_calls[0]
    assert called.type == "function"
    assert (called.function.name, called.function.arguments) == ("weather", '{"city":"Paris"}')
    plain = {"id": called.id, "type": "function", "function": called.function.model_dump()}
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [plain]},
        {"role": "tool", "tool_call_id": called.id, "content": "22 °C"},
    ]
    told = await service.sdk.chat.completions.create(model=THINKING, messages=messages, tools=[TOOL])  # type: ignore[list-item]

    assert told.choices[0].message.content == "Sunny."
    part = google.requests[1].json["contents"][1]["parts"][0]
    assert part["thoughtSignature"] == "U2ln"
    assert google.requests[1].json["contents"][2]["parts"][0]["functionResponse"]["response"] == {"output": "22 °C"}


async def test_a_stream_with_thoughts_and_usage(service: Gateway, google: FakeGeminiServer) -> None:
    google.script(
        StreamReply(
            [
                event(response(candidate({"text": "Hm.", "thought": True}, finish_reason=None))),
                event(response(candidate({"text": "Good "}, finish_reason=None))),
                event(response(candidate({"text": "day"}), usage=USAGE)),
            ]
        )
    )

    stream = await service.sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Greet me."}],
        stream=True,
        stream_options={"include_usage": True},
        reasoning_effort="low",
    )
    chunks = [chunk async for chunk in stream]

    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Good day"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    usage = chunks[-1].usage
    assert usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (1000, 1000)
    assert usage.completion_tokens_details
    assert usage.completion_tokens_details.reasoning_tokens == 900
    assert google.requests[0].json["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 1024


async def test_thoughts_are_paid_for(service: Gateway, google: FakeGeminiServer) -> None:
    google.script(Reply.of(usage=USAGE))
    body = {"model": MODEL, "messages": [{"role": "user", "content": "What does it cost?"}]}

    answer = await service.api.post("/v1/chat/completions", json=body)

    # 1,000 tokens at 0.30 USD and 1,000 at 2.50 USD for a million
    assert answer.headers["x-send2llm-cost-usd"] == "0.0028"


async def test_what_gemini_has_no_word_for_is_refused_by_name(service: Gateway, google: FakeGeminiServer) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "logit_bias": {"1": 5}}

    refused = await service.api.post("/v1/chat/completions", json=body)

    assert refused.status_code == 400
    assert "'logit_bias' of OpenAI's chat completions cannot be said in Google's Gemini" in refused.text
    assert google.requests == []
