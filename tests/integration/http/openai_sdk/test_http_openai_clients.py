"""Clients that people point at OpenAI, pointed at the service: the sync SDK, its helpers for chat, and pydantic-ai."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from openai import OpenAI, pydantic_function_tool
from openai_providers import ADA, CHAT, Behind, Person, calls_a_tool_first, says
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from gateway import HELLO, Gateway
from send2llm.testing import openai_server, responses_server
from send2llm.testing.openai_server import FakeOpenAIServer, completion
from send2llm.testing.responses_server import FakeResponsesServer, function_call, response

pytestmark = pytest.mark.asyncio(loop_scope="module")

T = TypeVar("T")


# The official SDK


async def in_thread(gateway: Gateway, ask: Callable[[OpenAI], T]) -> T:
    """Ask with the client that blocks."""

    def asking() -> T:
        with OpenAI(base_url=f"{gateway.address}/v1", api_key="none", max_retries=0) as client:
            return ask(client)

    return await asyncio.to_thread(asking)


async def test_the_sync_client_gets_responses(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    says(provider, "Hello!")
    answer = await in_thread(gateway, lambda client: client.responses.create(model=model, input="hello"))
    assert answer.output_text == "Hello!"

    says(provider, "one two", stream=True)

    def stream(client: OpenAI) -> tuple[list[str], str]:
        with client.responses.stream(model=model, input="hello") as events:
            pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
            return pieces, events.get_final_response().output_text

    assert await in_thread(gateway, stream) == (["one", " two"], "one two")


async def test_the_sync_client_gets_chat_completions(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    says(provider, "Hello!")
    answer = await in_thread(
        gateway,
        lambda client: client.chat.completions.create(model=model, messages=HELLO),  # type: ignore[call-overload]
    )
    assert answer.choices[0].message.content == "Hello!"


async def test_the_helper_for_streams_of_chat(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    calls_a_tool_first(provider, ADA, stream=True)
    async with gateway.sdk.chat.completions.stream(
        model=model, messages=HELLO, tools=[pydantic_function_tool(Person, name="weather")]
    ) as stream:
        types = [event.type async for event in stream]
        final = await stream.get_final_completion()

    (call,) = final.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == Person(name="Ada", age=36)
    assert final.choices[0].finish_reason == "tool_calls"
    assert "tool_calls.function.arguments.done" in types


async def test_the_helper_that_parses_chat(gateway: Gateway, behind: Behind) -> None:
    model, provider = behind
    says(provider, ADA)
    answer = await gateway.sdk.chat.completions.parse(model=model, messages=HELLO, response_format=Person)
    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)


async def test_embeddings_of_the_sync_client(gateway: Gateway) -> None:
    reply = await in_thread(gateway, lambda client: client.embeddings.create(model=CHAT, input=["a", "b"]))
    assert [one.index for one in reply.data] == [0, 1]


async def test_embeddings_over_the_wire(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    reply = await gateway.sdk.embeddings.create(model=CHAT, input=["a", "b"], dimensions=3)
    floats = await gateway.sdk.embeddings.create(model=CHAT, input=["a", "b"], dimensions=3, encoding_format="float")

    assert [one.embedding for one in reply.data] == [one.embedding for one in floats.data]
    assert provider.requests[0].json["input"] == ["a", "b"]
    first, _ = await gateway.events("conversation.completion_received")
    assert [part["type"] for part in first.data["answers"][0]["message"]["parts"]] == ["embedding"] * 2


# pydantic-ai

KINDS: dict[str, Any] = {"chat": OpenAIChatModel, "responses": OpenAIResponsesModel}


@pytest.fixture(params=KINDS)
async def agent_model(request: pytest.FixtureRequest, gateway: Gateway, behind: Behind) -> Any:
    """A model of pydantic-ai, in one of the two formats, before one of the two providers."""
    return KINDS[request.param](behind[0], provider=OpenAIProvider(openai_client=gateway.sdk))


async def test_an_agent_with_a_tool(agent_model: Any, behind: Behind) -> None:
    calls_a_tool_first(behind[1], '{"city": "Oslo"}')
    agent = Agent(agent_model, instructions="Be brief.")
    asked: list[str] = []

    @agent.tool_plain
    def weather(city: str) -> str:
        asked.append(city)
        return "-4 °C"

    result = await agent.run("The weather in Oslo?")

    assert result.output == "Cold."
    assert asked == ["Oslo"]
    assert result.usage.input_tokens == 18
    assert len(behind[1].requests) == 2


async def test_an_agent_with_a_typed_result(agent_model: Any, behind: Behind) -> None:
    if isinstance(behind[1], FakeResponsesServer):
        behind[1].script(responses_server.Reply.json(response(function_call("final_result", ADA))))
    else:
        call = {"id": "call_1", "type": "function", "function": {"name": "final_result", "arguments": ADA}}
        body = completion(None, finish_reason="tool_calls", tool_calls=[call])
        behind[1].script(openai_server.Reply(json.dumps(body).encode()))
    result = await Agent(agent_model, output_type=Person).run("Who?")
    assert result.output == Person(name="Ada", age=36)


async def test_an_agent_that_streams_goes_on(agent_model: Any, behind: Behind, gateway: Gateway) -> None:
    agent = Agent(agent_model)
    says(behind[1], "one two", "three", stream=True)
    async with agent.run_stream("Count.") as first:
        pieces = [piece async for piece in first.stream_text(delta=True, debounce_by=None)]
    async with agent.run_stream("Go on.", message_history=first.all_messages()) as second:
        assert await second.get_output() == "three"

    assert pieces == ["one", " two"]
    assert len({event.stream for event in await gateway.events()}) == 1  # what was told again continues the first
