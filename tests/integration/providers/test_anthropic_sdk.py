"""The fake speaks the real format: the official SDK is the judge."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam

from send2llm.testing.anthropic_server import (
    MODEL,
    ErrorReply,
    FakeAnthropicServer,
    Reply,
    StreamReply,
    running,
    running_in_thread,
)

HI: list[MessageParam] = [{"role": "user", "content": "Hi"}]
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "here"}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}


@pytest.fixture
async def fake() -> FakeAnthropicServer:
    return FakeAnthropicServer()


@pytest.fixture
async def sdk(fake: FakeAnthropicServer) -> AsyncIterator[AsyncAnthropic]:
    async with running(fake, path="") as url, AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield client


async def test_messages_tools_and_streams(fake: FakeAnthropicServer, sdk: AsyncAnthropic) -> None:
    fake.script(
        Reply.of(THOUGHT, "Look:", CALL, stop_reason="tool_use"),
        StreamReply.of(THOUGHT, "one two", CALL, stop_reason="tool_use"),
    )
    whole = await sdk.messages.create(model=MODEL, max_tokens=100, messages=HI)
    async with sdk.messages.stream(model=MODEL, max_tokens=100, messages=HI) as stream:
        words = [word async for word in stream.text_stream]
        streamed = await stream.get_final_message()

    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
    assert (whole.stop_reason, whole.usage.output_tokens) == ("tool_use", 4)
    assert words == ["one", " two"]
    assert [block.type for block in streamed.content] == ["thinking", "text", "tool_use"]
    assert streamed.content[2].to_dict()["input"] == {"where": "here"}
    assert streamed.usage.output_tokens == 4
    assert fake.requests[0].headers["anthropic-version"] == "2026-10-21"


async def test_pictures_counts_and_models(fake: FakeAnthropicServer, sdk: AsyncAnthropic) -> None:
    fake.models = [f"claude-{n}" for n in range(30)]
    picture: list[MessageParam] = [
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]}
    ]
    assert (await sdk.messages.create(model=MODEL, max_tokens=1, messages=picture)).id == "msg_fake"
    assert (await sdk.messages.count_tokens(model=MODEL, messages=HI)).input_tokens == 14
    assert [model.id async for model in sdk.models.list()] == fake.models


async def test_errors(fake: FakeAnthropicServer, sdk: AsyncAnthropic) -> None:
    fake.script(ErrorReply(529), ErrorReply(429, {"retry-after": "1"}))
    with pytest.raises(anthropic.OverloadedError):
        await sdk.messages.create(model=MODEL, max_tokens=1, messages=HI)
    with pytest.raises(anthropic.RateLimitError):
        await sdk.messages.create(model=MODEL, max_tokens=1, messages=HI)
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        await sdk.messages.create(model=MODEL, max_tokens=1, messages=HI, extra_body={"temperature": 1})
    result: Any = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "y"}]}]
    with pytest.raises(anthropic.BadRequestError, match="tool_result"):
        await sdk.messages.create(model=MODEL, max_tokens=1, messages=result)


def test_the_synchronous_sdk() -> None:
    server = FakeAnthropicServer()
    with running_in_thread(server, path="") as url, Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        whole = client.messages.create(model=MODEL, max_tokens=9, messages=HI)
        with client.messages.stream(model=MODEL, max_tokens=9, messages=HI) as stream:
            assert stream.get_final_text() == "Hello!"
        assert whole.content[0].to_dict()["text"] == "Hello!"
