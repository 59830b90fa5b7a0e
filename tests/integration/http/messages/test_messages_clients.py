"""Libraries on top of Anthropic's SDK, against the running service with a provider of either format behind it."""

from typing import Any

import pytest
from anthropic import AsyncAnthropic, beta_async_tool

from gateway import MODEL, Gateway
from send2llm.testing import anthropic_server as claudes, openai_server as openais
from send2llm.testing.anthropic_server import MODEL as CLAUDE, FakeAnthropicServer
from send2llm.testing.openai_server import FakeOpenAIServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH = pytest.mark.parametrize("model", [CLAUDE, MODEL])


@pytest.fixture
def asks_for_the_weather(claude: FakeAnthropicServer, provider: FakeOpenAIServer) -> None:
    """Either provider calls a tool first, and then says what came of it; streamed or not as it is asked."""
    arguments = {"city": "Oslo"}
    call = {"type": "tool_use", "id": "call_1", "name": "weather", "input": arguments}
    theirs = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    chunks = [openais.chunk(role="assistant", tool_calls=[{"index": 0, **theirs}]), openais.chunk("tool_calls")]

    def claude_says(request: claudes.RecordedRequest) -> Any:
        reply = claudes.StreamReply if request.json.get("stream") else claudes.Reply
        if "tool_result" in request.body.decode():
            return reply.of("It is 7 degrees in Oslo.")
        return reply.of(call, stop_reason="tool_use")

    def openai_says(request: openais.RecordedRequest) -> Any:
        if '"role":"tool"' in request.body.decode():
            reply = openais.StreamReply if request.json.get("stream") else openais.Reply
            return reply.of("It is 7 degrees in Oslo.")
        if not request.json.get("stream"):
            return openais.Reply.of(None, tool_calls=[theirs], usage=None)
        return openais.StreamReply([*map(openais.event, chunks), openais.DONE])

    claude.usual, provider.usual = claude_says, openai_says  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _as_usual(claude: FakeAnthropicServer, provider: FakeOpenAIServer) -> Any:
    yield
    for fake in (claude, provider):
        fake.__dict__.pop("usual", None)


@BOTH
@pytest.mark.usefixtures("asks_for_the_weather")
async def test_the_tool_runner_of_the_sdk(gateway: Gateway, anthropic_sdk: AsyncAnthropic, model: str) -> None:
    @beta_async_tool
    async def weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: Where.
        """
        return f"7 degrees in {city}"

    messages: Any = [{"role": "user", "content": f"The weather, {model}?"}]
    runner = anthropic_sdk.beta.messages.tool_runner(model=model, max_tokens=100, messages=messages, tools=[weather])
    answer = await runner.until_done()
    assert answer.content[0].to_dict()["text"] == "It is 7 degrees in Oslo."
    assert (await gateway.topics()).count("started") == 1


@BOTH
@pytest.mark.usefixtures("asks_for_the_weather")
async def test_langchain(gateway: Gateway, model: str) -> None:
    from langchain_anthropic import ChatAnthropic, _client_utils
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"7 degrees in {city}"

    options: Any = {"model": model, "base_url": gateway.address, "api_key": "none", "max_tokens": 100, "max_retries": 0}
    chat = ChatAnthropic(**options)
    talk: list[Any] = [HumanMessage(f"The weather, {model}, chain?")]
    first = await chat.bind_tools([weather]).ainvoke(talk)
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [("weather", {"city": "Oslo"})]
    talk += [first, ToolMessage(weather.invoke(first.tool_calls[0]["args"]), tool_call_id=first.tool_calls[0]["id"])]
    pieces = [piece async for piece in chat.bind_tools([weather]).astream(talk)]
    await chat._async_client.close()
    _client_utils._get_default_async_httpx_client.cache_clear()  # or the next would get the closed one
    assert "".join(str(piece.text) for piece in pieces) == "It is 7 degrees in Oslo."
    assert (await gateway.topics()).count("started") == 1


@BOTH
@pytest.mark.usefixtures("asks_for_the_weather")
async def test_pydantic_ai(gateway: Gateway, model: str) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    async with AsyncAnthropic(base_url=gateway.address, api_key="none", max_retries=0) as client:
        agent = Agent(
            AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client)), instructions="Be brief."
        )

        @agent.tool_plain
        def weather(city: str) -> str:
            """Tell the weather."""
            return f"7 degrees in {city}"

        result = await agent.run(f"The weather, {model}, agent?")
        async with agent.run_stream("And tomorrow?", message_history=result.all_messages()) as stream:
            streamed = await stream.get_output()
    assert result.output == streamed == "It is 7 degrees in Oslo."
    assert (await gateway.topics()).count("started") == 1
