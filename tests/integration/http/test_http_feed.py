"""``GET /api/events`` as a stream: who was cut off goes on where it was, and everybody ends when the service does."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import pytest

from gateway import Gateway, Json, serving, settings_for, soon
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.postgres import TestDatabaseServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def expected_errors() -> frozenset[str]:
    """What the server says of a follower that does not take its stream to the end."""
    return frozenset({"ASGI callable returned without completing response."})


FOLLOW = {"accept": "text/event-stream"}


class Follower:
    """An EventSource, as the standard describes it: it comes again by itself with the last id that it has seen."""

    def __init__(self, gateway: Gateway, after: int, **wanted: object) -> None:
        self._gateway = gateway
        self._query = {"after": after, **wanted}
        self.last_id = ""
        self.events: list[httpx2.ServerSentEvent] = []
        self.ends = 0

    @property
    def positions(self) -> list[int]:
        return [int(event.id) for event in self.events]

    async def follow(self) -> None:
        while True:
            with suppress(httpx2.TransportError):
                await self._follow_once()
            self.ends += 1
            await asyncio.sleep(0.01)

    async def _follow_once(self) -> None:
        headers = {"last-event-id": self.last_id} if self.last_id else {}
        async with self._gateway.api.sse("/api/events", params=self._query, headers=headers) as source:
            assert source.response.status_code == 200
            async for event in source:
                self.last_id = event.id
                if event.data:
                    self.events.append(event)

    async def has(self, number: int) -> None:
        await soon(lambda: self._has(number), 60)

    async def _has(self, number: int) -> bool:
        return len(self.events) >= number


@asynccontextmanager
async def following(*followers: Follower) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(follower.follow()) for follower in followers]
    try:
        yield
    finally:
        await end_tasks(*tasks)


async def stored(gateway: Gateway, **wanted: object) -> list[Json]:
    found: list[Json] = []
    while True:
        after = found[-1]["position"] if found else gateway.since
        page = (await gateway.api.get("/api/events", params={"after": after, **wanted})).json()
        if not page["data"]:
            assert page["reached"] == page["head"] or "stream" not in wanted
            return found
        found += page["data"]


async def test_the_stream_begins_with_what_is_stored_and_goes_on(gateway: Gateway) -> None:
    await gateway.ask()
    follower = Follower(gateway, gateway.since)
    async with following(follower):
        await follower.has(4)
        await gateway.ask()
        await follower.has(8)
    told = await stored(gateway)
    assert [json.loads(event.data) for event in follower.events] == told
    assert [event.event for event in follower.events] == [one["topic"] for one in told]
    assert follower.positions == [one["position"] for one in told]


async def test_topics_tenant_and_stream(gateway: Gateway) -> None:
    first, second = await gateway.ask(), await gateway.ask()
    topics = ["conversation.completion_requested", "conversation.completion_received"]
    stream = f"conversation-{second.headers['x-send2llm-conversation-id']}"
    assert first.status_code == 200
    assert len(await stored(gateway, topic=topics)) == 4
    assert len(await stored(gateway, tenant="default")) == 8
    assert await stored(gateway, tenant="nobody") == []
    assert [one["stream"] for one in await stored(gateway, stream=stream)] == [stream] * 4
    follower = Follower(gateway, gateway.since, stream=stream, topic=topics, tenant="default")
    async with following(follower):
        await follower.has(2)
    assert [event.event for event in follower.events] == topics


async def test_the_last_event_id_goes_before_the_query(gateway: Gateway) -> None:
    await gateway.ask()
    told = await stored(gateway)
    follower = Follower(gateway, gateway.since)
    follower.last_id = str(told[1]["position"])
    async with following(follower):
        await follower.has(2)
    assert follower.positions == [one["position"] for one in told[2:]]
    page = await gateway.api.get(
        "/api/events", params={"after": gateway.since}, headers={"last-event-id": follower.last_id}
    )
    assert page.json()["data"] == []


async def test_what_a_stream_cannot_heed_is_refused(gateway: Gateway) -> None:
    response = await gateway.api.get("/api/events", params={"limit": 5}, headers=FOLLOW)
    assert (response.status_code, response.json()["param"]) == (400, "limit")
    for name in ("x", "-1"):
        response = await gateway.api.get("/api/events", headers={**FOLLOW, "last-event-id": name})
        assert response.status_code == 400
    for name in ("stream", "tenant"):
        assert (await gateway.api.get(f"/api/events?{name}=%00")).status_code == 400


async def test_a_position_that_the_log_has_not_come_to_is_refused(gateway: Gateway) -> None:
    """As after a restored backup: who waited for the log to be as long would miss what is stored until then."""
    await gateway.ask()
    head = (await stored(gateway))[-1]["position"]
    for headers in ({}, FOLLOW, {"last-event-id": str(head + 1)}, {**FOLLOW, "last-event-id": str(head + 1)}):
        response = await gateway.api.get("/api/events", params={"after": head + 1}, headers=headers)
        assert (response.status_code, response.json()["param"]) == (400, "after")
        assert f"The log ends at position {head} so far" in response.json()["detail"]
    at_the_end = (await gateway.api.get("/api/events", params={"after": head})).json()
    assert (at_the_end["data"], at_the_end["reached"]) == ([], head)
    follower = Follower(gateway, head)
    async with following(follower):
        await gateway.ask()
        await follower.has(4)


async def test_who_says_two_things_is_asked_which(gateway: Gateway) -> None:
    for query in ("after=0&after=1", "limit=1&after=0&limit=1"):
        response = await gateway.api.get(f"/api/events?{query}")
        assert (response.status_code, response.json()["param"]) == (400, query.partition("=")[0])
        assert "given 2 times" in response.json()["detail"]
    for query in ("events?topic=a&topic=b", "costs?by=day&by=model", "conversations?label=a=b&label=c=d"):
        assert (await gateway.api.get(f"/api/{query}")).status_code == 200


async def test_who_wants_no_stream_gets_none(gateway: Gateway) -> None:
    no_stream = {"accept": "application/json, text/event-stream;q=0"}
    response = await gateway.api.get("/api/events", params={"limit": 1}, headers=no_stream)
    assert response.headers["content-type"] == "application/json"


async def test_many_callers_and_followers_that_are_cut_off(gateway: Gateway) -> None:
    """What a follower has seen at the end is what is stored, however often its connection broke."""
    steady, restless = Follower(gateway, gateway.since), Follower(gateway, gateway.since)
    all_of_them, enough = 6 * 15 * 4, asyncio.Event()

    async def caller() -> None:
        for _ in range(15):
            assert (await gateway.ask()).status_code == 200

    async def cut_off() -> None:
        while not enough.is_set():  # whoever is cancelled while he ends a follower may leave it running
            async with following(restless):
                await restless.has(min(len(restless.events) + 3, all_of_them))

    async with following(steady):
        cutting = asyncio.create_task(cut_off())
        await asyncio.gather(*(caller() for _ in range(6)))
        await steady.has(all_of_them)
        enough.set()
        await cutting
    async with following(restless):
        await restless.has(all_of_them)
    positions = [one["position"] for one in await stored(gateway)]
    assert len(positions) == all_of_them
    assert steady.positions == positions
    assert restless.positions == positions


async def test_who_leaves_is_forgotten(gateway: Gateway) -> None:
    async with gateway.api.stream("GET", "/api/events", headers=FOLLOW) as response, aclosing(response.aiter_bytes()):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"

    async def listening() -> list[str]:
        return [repr(task) for task in asyncio.all_tasks() if "LogTail" in repr(task)]

    async def nobody_listens() -> bool:
        return not await listening()

    try:
        await soon(nobody_listens)
    except AssertionError:
        raise AssertionError(await listening()) from None


async def test_followers_get_a_clean_end_when_the_service_stops(
    module_database: ConnectionInfo, provider_url: str
) -> None:
    async with serving(settings_for(module_database, provider_url)) as gateway:
        await gateway.forget()
        await gateway.ask()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.address.rpartition(":")[2]))
        request = f"GET /api/events?after={gateway.since} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n"
        writer.write(request.encode())
        await reader.readuntil(f'"position":{(await stored(gateway))[-1]["position"]},'.encode())
    assert (await reader.read()).endswith(b"\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_who_takes_nothing_does_not_keep_the_service_from_stopping(
    module_database: ConnectionInfo, provider_url: str
) -> None:
    async with serving(settings_for(module_database, provider_url)) as gateway:
        conversation = await gateway.start_conversation()
        for _ in range(4):
            await gateway.api.post(f"/api/conversations/{conversation}/messages", json={"content": "x" * 3_000_000})
            await gateway.ask(messages=[{"role": "user", "content": "x" * 3_000_000}])
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.address.rpartition(":")[2]))
        writer.write(b"GET /api/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert (await gateway.ask()).status_code == 200  # nobody waits for it
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 15
    writer.close()


@pytest.fixture
def own_server() -> Iterator[TestDatabaseServer]:
    # Not pytest's temporary folder: for root that is closed to the account which the server runs as.
    with TemporaryDirectory(prefix="send2llm-feed-") as folder:
        Path(folder).chmod(0o755)
        with TestDatabaseServer(Path(folder)) as server:
            yield server


@pytest.mark.slow
async def test_a_restart_of_the_database_is_waited_for(own_server: TestDatabaseServer, provider_url: str) -> None:
    database = own_server.create_database()
    await asyncio.to_thread(migrate, database)
    async with serving(settings_for(database, provider_url, store_wait_seconds=20.0)) as gateway:
        follower = Follower(gateway, 0)
        async with following(follower):
            for times in range(1, 4):
                await gateway.ask()
                await follower.has(4 * times)
                await asyncio.to_thread(own_server.stop)
                await asyncio.to_thread(own_server.start)
            await gateway.ask()
            await follower.has(16)
        assert follower.ends == 0  # its stream was never cut
        assert follower.positions == [one["position"] for one in await stored(gateway)]
