"""The database goes away and comes back: no answer that was given is lost, and none is given that could be."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from gateway import HELLO, MODEL, Gateway, serving, settings_for, soon
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.settings import Settings
from send2llm.testing.openai_server import FakeOpenAIServer, Reply, StreamReply, chunk, event
from send2llm.testing.postgres import TestDatabaseServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PATIENT, IMPATIENT = 20.0, 1.0
"""Seconds that events wait for a database; an outage here takes about half a second when nobody prolongs it."""


@pytest.fixture
def expected_errors() -> frozenset[str]:
    return frozenset({"event_store.gave_up"})


@pytest.fixture(scope="module")
def server() -> Iterator[TestDatabaseServer]:
    # Not pytest's temporary folder: for root that is closed to the account which the server runs as.
    with TemporaryDirectory(prefix="send2llm-outage-") as folder:
        Path(folder).chmod(0o755)
        with TestDatabaseServer(Path(folder)) as server:
            yield server


@pytest.fixture(scope="module")
def service_settings(server: TestDatabaseServer, clean_environment: None, provider_url: str) -> Settings:
    database = server.create_database()
    migrate(database)
    return settings_for(database, provider_url)


@pytest_asyncio.fixture(loop_scope="module")
async def patient(service_settings: Settings) -> AsyncIterator[Gateway]:
    async with serving(service_settings.model_copy(update={"store_wait_seconds": PATIENT})) as gateway:
        await gateway.forget()
        yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def impatient(service_settings: Settings) -> AsyncIterator[Gateway]:
    async with serving(service_settings.model_copy(update={"store_wait_seconds": IMPATIENT})) as gateway:
        await gateway.forget()
        yield gateway


async def test_between_two_calls(patient: Gateway, server: TestDatabaseServer) -> None:
    first = await patient.ask(messages=[{"role": "user", "content": "before the restart"}])
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)

    again = [{"role": "user", "content": "before the restart"}, {"role": "assistant", "content": "Hello!"}]
    second = await patient.ask(messages=[*again, {"role": "user", "content": "after it"}])
    assert second.status_code == 200
    assert second.headers["x-send2llm-conversation-id"] == first.headers["x-send2llm-conversation-id"]
    assert (await patient.api.get("/api/conversations")).status_code == 200
    assert (await patient.api.get("/api/events")).status_code == 200

    async def ready() -> bool:
        return (await patient.api.get("/readyz")).status_code == 200

    await soon(ready)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_in_mid_call_the_answer_waits(
    patient: Gateway, provider: FakeOpenAIServer, server: TestDatabaseServer, stream: bool
) -> None:
    gate = asyncio.Event()
    provider.script(
        StreamReply([event(chunk(role="assistant", content="Hello!")), gate, *StreamReply.of("").pieces])
        if stream
        else Reply.of(gate=gate)
    )
    asking = asyncio.create_task(patient.ask(stream=stream))
    await provider.arrived()
    await asyncio.to_thread(server.stop)
    gate.set()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asking), 0.2)
    await asyncio.to_thread(server.start)

    response = await asking
    assert response.status_code == 200
    assert "Hello!" in response.text
    if stream:
        assert response.text.endswith("data: [DONE]\n\n")
    assert len(await patient.events("conversation.completion_received")) == 1


async def test_an_outage_that_lasts_is_told_and_the_outcome_stored_afterwards(
    impatient: Gateway, provider: FakeOpenAIServer, server: TestDatabaseServer, log: io.BytesIO
) -> None:
    gate = asyncio.Event()
    provider.script(Reply.of("worth its money", gate=gate))
    body, key = {"model": MODEL, "messages": HELLO}, {"idempotency-key": "outage"}
    asking = asyncio.create_task(impatient.api.post("/v1/chat/completions", json=body, headers=key))
    await provider.arrived()
    await asyncio.to_thread(server.stop)
    gate.set()
    response = await asking
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "store_unavailable"
    assert response.headers["retry-after"]
    new = await impatient.ask()
    assert (new.status_code, new.json()["error"]["code"]) == (503, "store_unavailable")
    assert (await impatient.api.get("/readyz")).status_code == 503
    assert (await impatient.api.get("/api/conversations")).status_code == 503
    assert (await impatient.api.get("/metrics")).status_code == 200
    assert len(provider.requests) == 1  # what cannot be recorded is not asked

    await asyncio.to_thread(server.start)
    received = await impatient.event("conversation.completion_received")
    await soon(lambda: _is_reported(log, received.data["completion_id"]))
    again = await impatient.api.post("/v1/chat/completions", json=body, headers=key)
    assert again.headers["x-send2llm-replayed"] == "true"
    assert again.json()["choices"][0]["message"]["content"] == "worth its money"
    assert len(provider.requests) == 1
    await _every_call_has_one_outcome(impatient)


async def test_an_outage_during_a_stream_that_lasts(
    impatient: Gateway, provider: FakeOpenAIServer, server: TestDatabaseServer
) -> None:
    gate = asyncio.Event()
    provider.script(StreamReply([event(chunk(role="assistant", content="one")), gate, event(chunk("stop")), b""]))
    asking = asyncio.create_task(impatient.ask(stream=True))
    await provider.arrived()
    await asyncio.to_thread(server.stop)
    gate.set()
    response = await asking
    assert "store_unavailable" in response.text
    assert "[DONE]" not in response.text
    await asyncio.to_thread(server.start)
    await impatient.event("conversation.completion_received")
    await _every_call_has_one_outcome(impatient)


async def test_a_caller_who_leaves_during_an_outage(
    impatient: Gateway, provider: FakeOpenAIServer, server: TestDatabaseServer
) -> None:
    provider.script(Reply.of(gate=asyncio.Event()))
    asking = asyncio.create_task(impatient.ask())
    await provider.arrived()
    await asyncio.to_thread(server.stop)
    asking.cancel()
    await asyncio.wait_for(provider.disconnected.wait(), 10)
    await asyncio.to_thread(server.start)
    assert (await impatient.event("conversation.completion_interrupted")).data["reason"] == "client_disconnected"
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_callers_under_load_lose_nothing(
    patient: Gateway, provider: FakeOpenAIServer, server: TestDatabaseServer
) -> None:
    acknowledged: list[str] = []
    over = asyncio.Event()

    async def caller(number: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            response = await patient.ask(messages=[{"role": "user", "content": f"{number}-{turn}"}])
            assert response.status_code == 200, response.text
            acknowledged.append(response.headers["x-send2llm-conversation-id"])

    callers = [asyncio.create_task(caller(number)) for number in range(8)]
    for _ in range(2):
        enough = len(acknowledged) + 30

        async def more(wanted: int = enough) -> bool:
            return len(acknowledged) >= wanted

        await soon(more)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
    over.set()
    await asyncio.gather(*callers)

    received = [one.stream[-36:] for one in await patient.events("conversation.completion_received")]
    assert sorted(received) == sorted(acknowledged)
    await _every_call_has_one_outcome(patient)


async def _is_reported(log: io.BytesIO, completion_id: str) -> bool:
    """Whether the call was logged and counted as received."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    ended = [one for one in lines if one["event"] == "call_ended" and one["completion_id"] == completion_id]
    return [one["outcome"] for one in ended] == ["received"]


async def _every_call_has_one_outcome(gateway: Gateway) -> None:
    endings = ("completion_received", "completion_failed", "completion_interrupted")

    async def settled() -> bool:
        events = await gateway.events()
        begun = [one.data["completion_id"] for one in events if one.topic.endswith("completion_requested")]
        ended = [one.data["completion_id"] for one in events if one.topic.endswith(endings)]
        assert len(ended) == len(set(ended))
        return sorted(begun) == sorted(ended)

    await soon(settled)
