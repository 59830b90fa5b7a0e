"""Every way in before every provider: plain, streamed, with tools, with a picture, and when the provider says no."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from ways_in import PICTURE, WAYS_IN, WayIn
from wires import WIRES, Wire

from gateway import OVER_SOON, Gateway, serving
from send2llm.domain.completion import Usage
from send2llm.domain.message import ToolCallPart
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings, Settings
from send2llm.testing.provider_server import FakeProviderServer, Reply, StreamReply, running
from send2llm.testing.providers import answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = answer("It will rain.", usage=Usage(9, 4))
CALLED = answer("", ToolCallPart("callabc12", "weather", '{"city": "Ulm"}'), usage=Usage(9, 4))


@dataclass
class Behind:
    """A provider of the service, and its fake on the wire."""

    name: str
    wire: Wire
    server: FakeProviderServer

    @property
    def model(self) -> str:
        return f"{self.name}/{self.wire.model}"

    def will_say(self, completion: Any, *, stream: bool = False) -> None:
        if stream:
            self.server.script(StreamReply(self.wire.events(completion), content_type=self.wire.stream_type))
        else:
            self.server.script(Reply(self.wire.whole(completion)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(clean_environment: None, all_logs: Any, module_database: ConnectionInfo) -> AsyncIterator[Any]:
    """One service with all providers."""
    async with AsyncExitStack() as stack:
        behind, configured = {}, {}
        for name, wire in WIRES.items():
            server = wire.server()
            base_url = await stack.enter_async_context(running(server, wire.path))
            behind[name] = Behind(name, wire, server)
            configured[name] = ProviderSettings(base_url=base_url, **wire.settings)
        settings = Settings(database_url=module_database.dsn, providers=configured, retries=OVER_SOON)
        yield await stack.enter_async_context(serving(settings)), behind


@pytest.fixture(params=WIRES)
def behind(request: pytest.FixtureRequest, house: tuple[Gateway, dict[str, Behind]]) -> Behind:
    provider = house[1][request.param]
    provider.server.requests.clear()
    provider.server.script()
    return provider


@pytest.fixture(params=WAYS_IN)
def way(request: pytest.FixtureRequest) -> WayIn:
    return WAYS_IN[request.param]


@pytest_asyncio.fixture(loop_scope="module")
async def service(house: tuple[Gateway, dict[str, Behind]]) -> Gateway:
    await house[0].forget()
    return house[0]


async def test_plain(service: Gateway, way: WayIn, behind: Behind, request: pytest.FixtureRequest) -> None:
    behind.will_say(SAID)

    response = await service.api.post(way.path, json=way.ask(behind.model, f"Rain? {request.node.name}"))

    assert response.status_code == 200, response.text
    heard = way.whole(response.json())
    assert (heard.text, heard.output_tokens) == ("It will rain.", 4)
    received = await service.event("conversation.completion_received")
    assert received.data["reported_usage"] == {"input_tokens": 9, "output_tokens": 4}
    assert response.headers["x-send2llm-provider"] == behind.name


async def test_streamed(service: Gateway, way: WayIn, behind: Behind, request: pytest.FixtureRequest) -> None:
    behind.will_say(SAID, stream=True)

    response = await service.api.post(way.path, json=way.ask(behind.model, f"Rain? {request.node.name}", stream=True))

    assert response.status_code == 200, response.text
    heard = way.streamed(response.text)
    assert (heard.text, heard.output_tokens) == ("It will rain.", 4)
    received = await service.event("conversation.completion_received")
    assert received.data["reported_usage"] == {"input_tokens": 9, "output_tokens": 4}
    assert received.data["answers"][0]["message"]["parts"][-1]["text"] == "It will rain."


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_tools(
    service: Gateway, way: WayIn, behind: Behind, stream: bool, request: pytest.FixtureRequest
) -> None:
    behind.will_say(CALLED, stream=stream)
    asked = way.ask(behind.model, f"Rain in Ulm? {request.node.name}", stream=stream, tool=True)

    first = await service.api.post(way.path, json=asked)

    assert first.status_code == 200, first.text
    heard = way.streamed(first.text) if stream else way.whole(first.json())
    ((identifier, name, arguments),) = heard.calls
    assert (name, arguments) == ("weather", {"city": "Ulm"})
    assert identifier
    assert "weather" in behind.server.requests[-1].body.decode()

    behind.will_say(SAID, stream=stream)
    second = await service.api.post(way.path, json=way.answer_call(asked, heard, "Heavy rain, 12 mm."))

    assert second.status_code == 200, second.text
    assert (way.streamed(second.text) if stream else way.whole(second.json())).text == "It will rain."
    assert "Heavy rain, 12 mm." in behind.server.requests[-1].body.decode()
    same = "x-send2llm-conversation-id"
    assert first.headers[same] == second.headers[same]
    messages = await service.events("conversation.message_added")
    assert len(messages) == 2  # the question and the result; what was said before is not stored again


async def test_picture(service: Gateway, way: WayIn, behind: Behind, request: pytest.FixtureRequest) -> None:
    behind.will_say(SAID)

    response = await service.api.post(way.path, json=way.show(behind.model, f"What is it? {request.node.name}"))

    assert response.status_code == 200, response.text
    assert PICTURE in behind.server.requests[-1].body.decode()


ONLY_TEXT_INSTRUCTS = frozenset({"bedrock", "cohere", "gemini", "mistral", "vertex"})
"""Providers whose instructions are texts, and no pictures."""


async def test_picture_in_instructions(
    service: Gateway, way: WayIn, behind: Behind, request: pytest.FixtureRequest
) -> None:
    behind.will_say(SAID)

    response = await service.api.post(way.path, json=way.instruct(behind.model, f"Is it? {request.node.name}"))

    if behind.name in ONLY_TEXT_INSTRUCTS:
        assert response.status_code == 400, response.text
        assert "a part of type 'image' in a message of the role" in way.error(response.json())[1]
        assert behind.server.requests == []
    else:
        assert response.status_code == 200, response.text
        assert PICTURE in behind.server.requests[-1].body.decode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_error(
    service: Gateway, way: WayIn, behind: Behind, stream: bool, request: pytest.FixtureRequest
) -> None:
    behind.server.script(behind.wire.error, behind.wire.error)

    asked = way.ask(behind.model, f"Rain? {request.node.name}", stream=stream)
    response = await service.api.post(way.path, json=asked)

    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    kind, message = way.error(response.json())
    assert "rate_limit" in kind
    assert behind.name in message
    assert (await service.event("conversation.completion_failed")).data["error"] == "provider_rate_limited"


async def test_embeddings(service: Gateway, behind: Behind) -> None:
    asked = {"model": f"{behind.name}/{behind.wire.embedding_model or 'any'}", "input": ["rain", "snow"]}

    response = await service.api.post("/v1/embeddings", json=asked)

    if behind.wire.embedding_model is None:
        assert (response.status_code, "no embeddings" in response.text) == (400, True)
        return
    assert response.status_code == 200, response.text
    assert [len(one["embedding"]) > 0 for one in response.json()["data"]] == [True, True]
    received = await service.event("conversation.completion_received")
    assert [part["type"] for part in received.data["answers"][0]["message"]["parts"]] == ["embedding"] * 2
