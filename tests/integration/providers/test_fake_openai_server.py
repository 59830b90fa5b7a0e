"""The fake speaks the real format: the official SDK is the judge."""

import asyncio

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from send2llm.testing.openai_server import (
    ErrorReply,
    FakeOpenAIServer,
    Reply,
    StreamReply,
    running,
    running_in_thread,
)


async def test_the_asynchronous_sdk(server: FakeOpenAIServer, base_url: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    server.script(Reply.of(None, tool_calls=[call]), StreamReply.of("one two"))
    async with AsyncOpenAI(base_url=base_url, api_key="x", max_retries=0) as client:
        whole = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        models = await client.models.list()

    assert whole.choices[0].message.tool_calls is not None
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two"
    assert chunks[-1].usage is not None
    assert [model.id for model in models.data] == ["fake-model-1"]
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "hi"}]


def test_the_synchronous_sdk() -> None:
    server = FakeOpenAIServer()
    with running_in_thread(server) as base_url, OpenAI(base_url=base_url, api_key="x", max_retries=0) as client:
        whole = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)

        assert whole.choices[0].message.content == "Hello!"
        assert whole.usage is not None
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Hello!"


async def test_errors_are_what_the_sdk_knows(server: FakeOpenAIServer, base_url: str) -> None:
    server.script(ErrorReply(429, {"retry-after": "1"}, message="slow", code="rate_limit_exceeded"))
    async with AsyncOpenAI(base_url=base_url, api_key="x", max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.NotFoundError):
            await client.images.generate(model="m", prompt="x")

    assert caught.value.code == "rate_limit_exceeded"


async def test_gates_hold_answers_and_departures_are_seen() -> None:
    gate = asyncio.Event()
    server = FakeOpenAIServer(Reply.of("late", gate=gate), Reply.of("never", gate=asyncio.Event()))
    async with running(server) as base_url, AsyncOpenAI(base_url=base_url, api_key="x", max_retries=0) as client:
        first = asyncio.create_task(client.chat.completions.create(model="m", messages=[]))
        await server.arrived(1)
        assert not first.done()
        gate.set()
        assert (await first).choices[0].message.content == "late"

        second = asyncio.create_task(client.chat.completions.create(model="m", messages=[]))
        await server.arrived(2)
        second.cancel()
        await server.disconnected.wait()
