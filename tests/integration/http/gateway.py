"""The real service in this process, behind a real HTTP server, before a fake provider on the wire."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import psycopg
import uvicorn
from openai import AsyncOpenAI

from send2llm.bootstrap.container import build_service
from send2llm.bootstrap.followers import build_projector
from send2llm.bootstrap.texts import event_codec
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.interfaces.http.app import create_app
from send2llm.settings import ProviderSettings, RetrySettings, Settings

PROVIDER_KEY = "sk-provider-0123456789"
MODEL = "fake-model-1"
HELLO = [{"role": "user", "content": "hello"}]
OVER_SOON = RetrySettings(attempts=2, first_wait=0.001, longest_wait=0.01)

T = TypeVar("T")
Json = dict[str, Any]


@dataclass(frozen=True)
class StoredEvent:
    """A row of the event table; ``data`` is what happened, ``meta`` its circumstances."""

    stream: str
    version: int
    topic: str
    meta: Json
    data: Json


@dataclass
class Gateway:
    """A running service and its callers."""

    address: str
    settings: Settings
    sdk: AsyncOpenAI
    api: httpx2.AsyncClient
    since: int = 0
    """The position in the log from which on ``events`` tells what happened."""

    async def forget(self) -> None:
        """Tell nothing of what has happened so far."""
        self.since = (await self.api.get("/api/events", params={"limit": 1})).json()["head"]

    async def ask(self, **further: Any) -> httpx2.Response:
        """A plain chat completion, as a bare HTTP response."""
        return await self.api.post("/v1/chat/completions", json={"model": MODEL, "messages": HELLO, **further})

    async def start_conversation(self, **body: Any) -> str:
        """The id of a new conversation."""
        response = await self.api.post("/api/conversations", json=body)
        assert response.status_code == 201, response.text
        identifier: str = response.json()["id"]
        return identifier

    async def events(self, topic: str | None = None) -> list[StoredEvent]:
        """What the event table holds, past nearly all code of the service: texts are decrypted."""
        codec = event_codec(self.settings)
        async with await psycopg.AsyncConnection.connect(database_of(self.settings).dsn) as connection:
            rows = await connection.execute(
                "SELECT originator_id, originator_version, topic, state, wrapped"
                " FROM stored_events LEFT JOIN conversation_keys USING (originator_id)"
                " WHERE notification_id > %s ORDER BY notification_id",
                [self.since],
            )
            found = [StoredEvent(*row[:3], *codec.read_plain(*row)) async for row in rows]
        return [one for one in found if topic in (None, one.topic)]

    async def topics(self) -> list[str]:
        """What kinds of things happened, without the first half of their names."""
        return [event.topic.partition(".")[2] for event in await self.events()]

    async def event(self, topic: str) -> StoredEvent:
        """The one event of a topic, when it has come."""

        async def only() -> StoredEvent | None:
            found = await self.events(topic)
            assert len(found) < 2
            return found[0] if found else None

        return await soon(only)

    @contextmanager
    def projecting(self) -> Iterator[None]:
        """Fold events into the history while the block lasts."""
        stop = threading.Event()
        projector = build_projector(self.settings)
        thread = threading.Thread(target=projector.run, args=(stop,), name="projector")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    async def history_is_complete(self) -> None:
        """Wait until every stored event is in every build that is kept up to date."""

        async def complete() -> bool:
            listed = [one for one in (await self.api.get("/api/projections")).json()["data"] if one["role"] == "live"]
            known = {one["name"] for one in listed} >= {"history", "cost_ledger", "usage", "trail"}
            followed = [one for one in listed if one["role"] not in ("verified", "different")]
            return known and all(one["lag_events"] == 0 and one["position"] == one["head"] for one in followed)

        await soon(complete)


async def soon(question: Callable[[], Awaitable[T]], seconds: float = 20.0) -> T:
    """Ask until the answer is true, and give it; AssertionError with the last answer after ``seconds``."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (answer := await question()):
        assert asyncio.get_running_loop().time() < deadline, f"still {answer!r} after {seconds:g} s"
        await asyncio.sleep(0.01)
    return answer


def settings_for(database: ConnectionInfo, base_url: str, **changes: Any) -> Settings:
    """Settings of a service with one provider and little patience for its failures."""
    usual: Json = {
        "database_url": database.dsn,
        "providers": {"fake": ProviderSettings(base_url=base_url, api_key=PROVIDER_KEY, models=(MODEL,))},
        "retries": OVER_SOON,
        "encryption": {"key": "07" * 32},
    }
    return Settings(**(usual | changes))


def database_of(settings: Settings) -> ConnectionInfo:
    assert settings.database_url is not None
    return ConnectionInfo.parse(settings.database_url.get_secret_value())


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Gateway]:
    """Run a service on a free loopback port, on the loop of the test."""
    service = build_service(settings)
    config = uvicorn.Config(create_app(service), http="httptools", ws="none", lifespan="on", log_config=None)
    key = settings.api_key.get_secret_value() if settings.api_key else "none"
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(loopback_listener())
        await stack.enter_async_context(_running(config, listener, service.about_to_stop))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sdk = AsyncOpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)
        headers = {"authorization": f"Bearer {key}"}
        api = httpx2.AsyncClient(base_url=address, headers=headers, trust_env=False, timeout=30)
        await stack.enter_async_context(sdk)
        await stack.enter_async_context(api)
        yield Gateway(address, settings, sdk, api)


@asynccontextmanager
async def _running(
    config: uvicorn.Config, listener: socket.socket, about_to_stop: Callable[[], None]
) -> AsyncIterator[None]:
    """What the worker's server does, without its signals and its waits of a tenth of a second."""
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    assert not server.should_exit, "the service did not start"
    try:
        yield
    finally:
        for listening in server.servers:
            listening.close()
        about_to_stop()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
        await server.lifespan.shutdown()


def loopback_listener() -> socket.socket:
    """A listening socket on a free port; made anew from its descriptor, as a worker does it.

    Python then knows that it speaks TCP, which ``create_server`` does not say, and asyncio sends small pieces at once.
    """
    return socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
