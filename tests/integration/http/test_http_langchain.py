"""LangChain's clients of OpenAI against the running service: chat, responses and embeddings."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from gateway import MODEL, Gateway
from send2llm.testing.openai_server import (
    DONE,
    FakeOpenAIServer,
    RecordedRequest,
    Reply,
    StreamReply,
    chunk,
    event,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"7 degrees in {city}"


def says(request: RecordedRequest) -> Any:
    """First it calls the tool, and then it says what came of it."""
    streamed = request.json.get("stream")
    if '"role":"tool"' in request.body.decode():
        return StreamReply.of("It is 7 degrees in Oslo.") if streamed else Reply.of("It is 7 degrees in Oslo.")
    if not streamed:
        return Reply.of(None, tool_calls=[CALL])
    chunks = [chunk(role="assistant", tool_calls=[{"index": 0, **CALL}]), chunk("tool_calls")]
    return StreamReply([*map(event, chunks), DONE])


@pytest_asyncio.fixture(loop_scope="module")
async def options(gateway: Gateway) -> AsyncIterator[dict[str, Any]]:
    """LangChain shares connections among clients, and so among tests, unless it is given some."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        base_url = f"{gateway.address}/v1"
        yield {"model": MODEL, "base_url": base_url, "api_key": "none", "max_retries": 0, "http_async_client": client}


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_a_tool_and_what_came_of_it(
    gateway: Gateway, provider: FakeOpenAIServer, monkeypatch: pytest.MonkeyPatch, options: Any, responses: bool
) -> None:
    monkeypatch.setattr(provider, "usual", says)
    chat = ChatOpenAI(**options, use_responses_api=responses).bind_tools([weather])
    talk: list[Any] = [HumanMessage(f"The weather, {responses}?")]

    first = await chat.ainvoke(talk)
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [("weather", {"city": "Oslo"})]
    talk += [first, ToolMessage(weather.invoke(first.tool_calls[0]["args"]), tool_call_id=first.tool_calls[0]["id"])]
    pieces = [piece async for piece in chat.astream(talk)]

    assert "".join(piece.text for piece in pieces) == "It is 7 degrees in Oslo."
    assert (await gateway.topics()).count("started") == 1


async def test_embeddings(gateway: Gateway, provider: FakeOpenAIServer, options: Any) -> None:
    vectors = await OpenAIEmbeddings(**options, check_embedding_ctx_length=False).aembed_documents(["a", "b"])

    assert len(vectors) == 2
    assert all(isinstance(number, float) for vector in vectors for number in vector)
    assert "completion_received" in await gateway.topics()
