"""A provider of somebody else's, in a package of its own: installed, found, and answering through the service."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import openai
import pytest

from gateway import HELLO, OVER_SOON, Gateway, serving
from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import MalformedReply, Overloaded, ProviderError, RateLimited, RequestRejected, StreamBroken
from send2llm.domain.message import ImagePart, Message, TextPart
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.providers.capabilities import Capabilities, capabilities_of
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.infrastructure.providers.installed import installed
from send2llm.settings import PriceSettings, ProviderSettings, Settings
from send2llm.testing.provider_server import (
    Behaviour,
    FakeProviderServer,
    RecordedRequest,
    Reply,
    StreamReply,
    running,
)

PACKAGE = Path(__file__).parents[3] / "examples" / "provider_package"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("polly", HI, Parameters(), UUID(int=1))


class ParrotServer(FakeProviderServer):
    """What stands at the other end of the example's format."""

    def at_once(self, request: RecordedRequest) -> Reply | None:
        return Reply.json({"voices": ["polly"]}) if request.path == "/voices" else None

    def usual(self, request: RecordedRequest) -> Behaviour:
        words = request.json["lines"][-1]["words"]
        counts = {"heard": 3, "said": 2}
        if not request.json["bit_by_bit"]:
            return Reply.json({"words": f"Squawk: {words}", **counts})
        return StreamReply([said({"bit": "Squawk: "}), said({"bit": words}), said({"over": True, **counts})])


def said(piece: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(piece)}\n\n".encode()


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package, built and installed where only this module finds it."""
    folder = tmp_path_factory.mktemp("parrots")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    offline = ["--no-index", "--no-build-isolation", "--target", str(folder), str(PACKAGE)]
    subprocess.run([*install, *offline], check=True, capture_output=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        installed.cache_clear()
        yield
    installed.cache_clear()
    sys.modules.pop("send2llm_parrot", None)


@pytest.fixture
async def parrots() -> ParrotServer:
    return ParrotServer()


@pytest.fixture
async def address(parrots: ParrotServer) -> AsyncIterator[str]:
    async with running(parrots, "") as url:
        yield url


@pytest.fixture
async def cage(address: str) -> AsyncIterator[HttpProvider]:
    provider = make_provider("parrot", ProviderConfig("cage", address))
    assert isinstance(provider, HttpProvider)
    yield provider
    await provider.aclose()


@pytest.fixture
async def gateway(module_database: ConnectionInfo, address: str) -> AsyncIterator[Gateway]:
    settings = Settings(
        database_url=module_database.dsn,
        providers={"cage": ProviderSettings(format="parrot", base_url=address, models=("polly",))},
        prices={"cage/polly": PriceSettings(input=1, output=2)},
        retries=OVER_SOON,
    )
    async with serving(settings) as gateway:
        yield gateway


async def test_a_service_answers_through_it(parrots: ParrotServer, gateway: Gateway) -> None:
    await gateway.forget()

    whole = await gateway.sdk.chat.completions.create(model="polly", messages=HELLO, max_tokens=9)  # type: ignore[arg-type]
    stream = await gateway.sdk.chat.completions.create(
        model="cage/polly", messages=HELLO, stream=True, stream_options={"include_usage": True}  # type: ignore[arg-type]
    )  # fmt: skip
    chunks = [chunk async for chunk in stream]

    assert whole.choices[0].message.content == "Squawk: hello"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Squawk: hello"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5
    assert parrots.requests[0].json["at_most"] == 9
    received = await gateway.events("conversation.completion_received")
    assert [(event.data["provider"], event.data["cost_usd"]) for event in received] == [("cage", "0.000007")] * 2


async def test_what_it_cannot_say_is_refused_by_name(parrots: ParrotServer, gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError, match="'temperature' cannot be said in parrot"):
        await gateway.sdk.chat.completions.create(model="polly", messages=HELLO, temperature=1)  # type: ignore[arg-type]
    assert parrots.requests == []


async def test_it_lists_models_and_says_what_it_can(cage: HttpProvider) -> None:
    assert await cage.models() == ["polly"]
    assert capabilities_of(cage) == Capabilities(tools=False, images=False, structured_output=False)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Reply.json({"squawk": "hungry"}, 429), RateLimited),
        (Reply.json({"squawk": "hungry"}), Overloaded),
        (Reply(b"<html>"), MalformedReply),
        (Reply.json({"words": 7}), MalformedReply),
        (Reply.json({"words": "x", "heard": None}), MalformedReply),
    ],
)
async def test_its_errors_are_clear(
    parrots: ParrotServer, cage: HttpProvider, stream: bool, behaviour: Reply, kind: type[ProviderError]
) -> None:
    parrots.script(behaviour)

    with pytest.raises(kind):
        await (anext(aiter(cage.stream(CALL))) if stream else cage.complete(CALL))


async def test_a_stream_that_is_not_over_is_broken(parrots: ParrotServer, cage: HttpProvider) -> None:
    parrots.script(StreamReply([said({"bit": "Squ"})]))

    with pytest.raises(StreamBroken):
        await asyncio.wait_for(_to_the_end(cage), 10)


async def _to_the_end(cage: HttpProvider) -> None:
    async for _ in cage.stream(CALL):
        pass


async def test_pictures_are_refused(cage: HttpProvider) -> None:
    with pytest.raises(RequestRejected, match="a part of type 'image'"):
        await cage.complete(
            ProviderCall("polly", [Message("user", (ImagePart("https://a/b.png"),))], Parameters(), UUID(int=1))
        )
