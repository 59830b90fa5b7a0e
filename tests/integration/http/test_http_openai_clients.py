"""Clients that people point at OpenAI, pointed at the service: the sync SDK, its helpers for chat, and pydantic-ai."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from gateway import HELLO, MODEL, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings
from send2llm.testing import openai_server, responses_server
from send2llm.testing.openai_server import DONE, FakeOpenAIServer, chunk, completion
from send2llm.testing.responses_server import FakeResponsesServer, function_call, reasoning, response, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT, NATIVE = f"fake/{MODEL}", f"native/{MODEL}"
T = TypeVar("T")


class Person(BaseModel):
    name: str
    age: int


ADA = '{"name": "Ada", "age": 36}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_native() -> FakeResponsesServer:
    return FakeResponsesServer(models=(MODEL,))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(
    clean_environment: None,
    all_logs: io.BytesIO,
    module_database: ConnectionInfo,
    provider_url: str,
    shared_native: FakeResponsesServer,
) -> AsyncIterator[Gateway]:
    async with running(shared_native) as native_url:
        providers = {
            "fake": ProviderSettings(base_url=provider_url, models=(MODEL,)),
            "native": ProviderSettings(format="openai-responses", base_url=native_url),
        }
        async with serving(settings_for(module_database, provider_url, providers=providers)) as gateway:
            yield gateway


@pytest.fixture(autouse=True)
def native(shared_native: FakeResponsesServer) -> FakeResponsesServer:
    shared_native.script()
    shared_native.requests.clear()
    return shared_native


Behind = tuple[str, FakeOpenAIServer | FakeResponsesServer]


@pytest.fixture(params=[CHAT, NATIVE])
def behind(request: pytest.FixtureRequest, provider: FakeOpenAIServer, native: FakeResponsesServer) -> Behind:
    """A model, and the provider that has it."""
    return request.param, provider if request.param == CHAT else native


def says(provider: FakeOpenAIServer | FakeResponsesServer, *texts: str, stream: bool = False) -> None:
    """Have the provider say the texts, one a call."""
    if isinstance(provider, FakeResponsesServer):
        native = responses_server.StreamReply.of if stream else lambda text: responses_server.Reply.json(response(text))
        provider.script(*map(native, texts))
    else:
        chat = openai_server.StreamReply.of if stream else openai_server.Reply.of
        provider.script(*map(chat, texts))


def calls_a_tool_first(
    provider: FakeOpenAIServer | FakeResponsesServer, arguments: str, *, stream: bool = False
) -> None:
    """Have the provider call the tool ``weather``, and then say that it is cold."""
    if isinstance(provider, FakeResponsesServer):
        items = (reasoning("Hm.", encrypted="cipher"), function_call("weather", arguments, "call_1"))
        first: Any = (
            responses_server.StreamReply.of(*items) if stream else responses_server.Reply.json(response(*items))
        )
        then: Any = (
            responses_server.StreamReply.of("Cold.") if stream else responses_server.Reply.json(response("Cold."))
        )
    else:
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
        if stream:
            chunks = [
                chunk(role="assistant", content=None),
                chunk(tool_calls=[{"index": 0, **call}]),
                chunk("tool_calls"),
            ]
            first = openai_server.StreamReply([*map(openai_server.event, chunks), DONE])
        else:
            body = completion(None, finish_reason="tool_calls", tool_calls=[call])
            first = openai_server.Reply(json.dumps(body).encode())
        then = openai_server.StreamReply.of("Cold.") if stream else openai_server.Reply.of("Cold.")
    provider.script(first, then)


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
