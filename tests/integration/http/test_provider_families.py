"""Azure and Mistral behind the whole service: what callers of OpenAI's format get from them, and what is recorded."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway import HELLO, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import PriceSettings, ProviderSettings
from send2llm.testing.azure_server import CLEAN, FILTERED, FakeAzureServer
from send2llm.testing.mistral_server import USAGE, FakeMistralServer, Reply, StreamReply, chunk, thinking
from send2llm.testing.openai_server import DONE, event, running
from send2llm.testing.provider_server import Reply as PlainReply

pytestmark = pytest.mark.asyncio(loop_scope="module")

THOUGHT = [thinking("Let me see."), {"type": "text", "text": "Yes"}]


@pytest.fixture
def mistral() -> FakeMistralServer:
    return FakeMistralServer()


@pytest.fixture
def azure() -> FakeAzureServer:
    return FakeAzureServer(deployments=("fake-deployment",))


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(
    migrated: ConnectionInfo, provider_url: str, mistral: FakeMistralServer, azure: FakeAzureServer
) -> AsyncIterator[Gateway]:
    async with running(mistral) as mistral_url, running(azure, "") as azure_url:
        providers = {
            "mistral": ProviderSettings(format="mistral", base_url=mistral_url, models=("fake-model",)),
            "azure": ProviderSettings(
                format="azure",
                base_url=azure_url,
                api_key=azure.key,
                models=("fake-deployment",),
                options={"api_version": "2024-10-21"},
            ),
        }
        prices = {f"{name}/{one.models[0]}": PriceSettings(input=1, output=2) for name, one in providers.items()}
        async with serving(settings_for(migrated, provider_url, providers=providers, prices=prices)) as gateway:
            yield gateway


async def streamed(gateway: Gateway, model: str) -> list[Any]:
    stream = await gateway.sdk.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}  # type: ignore[arg-type]
    )  # fmt: skip
    return [chunk async for chunk in stream]


async def test_thoughts_of_mistral_reach_callers_of_openai(gateway: Gateway, mistral: FakeMistralServer) -> None:
    chunks = [chunk(role="assistant", content=""), *(chunk(content=[one]) for one in THOUGHT)]
    last = chunk("stop", content="", usage=USAGE)
    mistral.script(Reply.of(THOUGHT), StreamReply([event(one) for one in [*chunks, last]] + [DONE]))

    whole = await gateway.sdk.chat.completions.create(model="fake-model", messages=HELLO)  # type: ignore[arg-type]
    pieces = await streamed(gateway, "mistral/fake-model")

    message = whole.choices[0].message
    assert (message.content, message.model_extra["reasoning_content"]) == ("Yes", "Let me see.")  # type: ignore[index]
    deltas = [piece.choices[0].delta for piece in pieces if piece.choices]
    assert "".join(delta.content or "" for delta in deltas) == "Yes"
    assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas) == "Let me see."
    assert [piece.usage.total_tokens for piece in pieces if piece.usage] == [13]
    received = await gateway.events("conversation.completion_received")
    assert [event.data["cost_usd"] for event in received] == ["0.000017"] * 2


async def test_a_conversation_gives_mistral_its_thoughts_back(gateway: Gateway, mistral: FakeMistralServer) -> None:
    mistral.script(Reply.of(THOUGHT), Reply.of("Sure."))
    conversation = await gateway.start_conversation()
    path = f"/api/conversations/{conversation}/messages"

    await gateway.api.post(path, json={"model": "fake-model", "content": "Is it?"})
    second = await gateway.api.post(path, json={"model": "fake-model", "content": "Sure?"})

    assert second.json()["message"]["content"] == "Sure."
    assert mistral.requests[-1].json["messages"][1] == {"role": "assistant", "content": THOUGHT}


async def test_a_conversation_goes_on_at_the_other_provider(
    gateway: Gateway, mistral: FakeMistralServer, azure: FakeAzureServer
) -> None:
    mistral.script(Reply.of(THOUGHT))
    conversation = await gateway.start_conversation()
    path = f"/api/conversations/{conversation}/messages"

    await gateway.api.post(path, json={"model": "fake-model", "content": "Is it?"})
    second = await gateway.api.post(path, json={"model": "fake-deployment", "content": "Sure?"})

    assert second.json()["message"]["content"] == "Hello!"
    assert azure.requests[-1].json["messages"][1] == {"role": "assistant", "content": "Yes"}


async def test_what_azures_filter_found_reaches_the_caller(gateway: Gateway, azure: FakeAzureServer) -> None:
    whole = await gateway.ask(model="fake-deployment")
    pieces = await streamed(gateway, "azure/fake-deployment")
    azure.script(PlainReply.json({"error": FILTERED}, 400))
    refused = await gateway.ask(model="fake-deployment")

    assert whole.json()["choices"][0]["content_filter_results"] == CLEAN
    assert pieces[0].model_extra["prompt_filter_results"][0]["content_filter_results"] == CLEAN
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")
