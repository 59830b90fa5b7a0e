"""The log verified through the service: one at a time, in a process that ends with whoever waits for it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
import pytest_asyncio
from command_line import run
from sqlalchemy import create_engine

from gateway import Gateway, serving, settings_for, soon
from send2llm.infrastructure.log_seals import verifying
from send2llm.infrastructure.log_seals.sealer import LogSealer
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = SealingKey.generate()
LOG, SEALS = "/api/audit/log", "/api/audit/seals"
AS_STREAM = {"accept": "text/event-stream"}


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated: ConnectionInfo, provider_url: str) -> AsyncIterator[Gateway]:
    """A service whose log has five seals of one event each, and an event that is not sealed yet."""
    async with serving(settings_for(migrated, provider_url)) as gateway:
        engine = create_engine(migrated.sqlalchemy_url)
        with engine.connect() as connection:
            for _ in range(5):
                await gateway.start_conversation()
                LogSealer(migrated, KEY).seal_next(connection)
        engine.dispose()
        await gateway.start_conversation()
        yield gateway


async def audit(gateway: Gateway, *arguments: str, code: int = 0) -> tuple[str, str]:
    said = await run(gateway, "audit", *arguments)
    assert said.exit_code == code, said.errors
    return said.output, said.errors


async def verify(gateway: Gateway, **body: Any) -> httpx2.Response:
    return await gateway.api.post(LOG, json=body)


async def verifying_processes() -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [one for one in psutil.Process().children() if verifying.__name__ in one.cmdline()]
    return []


async def test_the_log_is_verified(gateway: Gateway) -> None:
    found = (await verify(gateway, public_keys=[KEY.public.hex()])).json()
    assert (found["intact"], found["events"], found["seals"], found["unsealed"]) == (True, 5, 5, 1)
    async with gateway.api.stream("POST", LOG, json={}, headers=AS_STREAM) as stream:
        told = [line async for line in stream.aiter_lines() if line]
    assert told[-2] == "event: done"
    assert json.loads(told[-1].removeprefix("data: ")) == found


async def test_seals_come_in_pages_and_without_links(gateway: Gateway) -> None:
    first = (await gateway.api.get(SEALS, params={"limit": 3})).json()
    second = (await gateway.api.get(SEALS, params={"after": 3, "limit": 3})).json()
    assert [seal["number"] for seal in (*first["data"], *second["data"])] == [1, 2, 3, 4, 5]
    assert (first["more"], second["more"]) == (True, False)
    (last,) = (await gateway.api.get(SEALS, params={"last": 1})).json()["data"]
    assert (last["number"], "links" in last) == (5, False)
    (with_links,) = (await gateway.api.get(SEALS, params={"last": 1, "links": True})).json()["data"]
    assert len(with_links["links"]) == 16
    assert with_links | last == with_links


async def test_the_last_seals_are_kept_and_compared(gateway: Gateway, tmp_path: Path) -> None:
    output, _ = await audit(gateway, "seals", "--last", "2", "--json")
    assert [seal["number"] for seal in json.loads(output)["data"]] == [4, 5]
    kept = tmp_path / "kept.json"
    kept.write_text(output)

    _, errors = await audit(gateway, "verify", "--key", KEY.public.hex(), "--kept", str(kept))

    assert "The log is intact: 5 events under 5 seals; 1 are not sealed yet." in errors
    assert len((await audit(gateway, "seals"))[0].splitlines()) == 6


async def test_a_log_without_its_seals_is_not_intact(gateway: Gateway, migrated: ConnectionInfo) -> None:
    async with await psycopg.AsyncConnection.connect(migrated.dsn, autocommit=True) as connection:
        await connection.execute("ALTER TABLE log_seals DISABLE TRIGGER ALL")
        await connection.execute("DELETE FROM log_seals")

    found = (await verify(gateway)).json()

    assert (found["intact"], found["unsealed"]) == (False, 6)
    assert "Nothing is sealed" in (await audit(gateway, "verify", "--key", KEY.public.hex(), code=1))[1]


@pytest.mark.parametrize("change", [{"number": -1}, {"number": 0}, {"signature": "x"}], ids=str)
async def test_what_is_no_seal_is_refused(gateway: Gateway, change: dict[str, object]) -> None:
    (seal,) = (await gateway.api.get(SEALS, params={"last": 1})).json()["data"]
    assert (await verify(gateway, kept=[seal])).status_code == 200
    assert (await verify(gateway, kept=[seal | change])).status_code == 400


async def test_another_process_of_the_service_does_not_verify_at_the_same_time(
    gateway: Gateway, migrated: ConnectionInfo
) -> None:
    async with await psycopg.AsyncConnection.connect(migrated.dsn, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(%s)", (verifying.LOCK,))
        refused = await verify(gateway)
    assert (refused.status_code, refused.json()["code"]) == (409, "verification_in_progress")
    assert refused.headers["retry-after"] == "10"


@pytest.mark.parametrize("headers", [{}, AS_STREAM], ids=["whole", "stream"])
async def test_it_ends_when_its_caller_leaves(
    gateway: Gateway, migrated: ConnectionInfo, headers: dict[str, str]
) -> None:
    async def intact() -> bool:
        return (await verify(gateway)).status_code == 200

    async def none_is_left() -> bool:
        return not await verifying_processes()

    async with await psycopg.AsyncConnection.connect(migrated.dsn) as slow:
        await slow.execute("LOCK TABLE log_seals")
        asking = asyncio.create_task(gateway.api.post(LOG, json={}, headers=headers))
        await soon(verifying_processes)
        assert (await verify(gateway)).json()["code"] == "verification_in_progress"
        asking.cancel()
        await soon(none_is_left)
        with contextlib.suppress(asyncio.CancelledError):
            await asking
    assert await soon(intact)
