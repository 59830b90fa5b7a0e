"""``/api/projections``: builds begun, looked at and dropped while the service works."""

import psycopg
import pytest

from gateway import Gateway, Json, soon
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.relay.names import RELAY_TO_NATS
from send2llm.infrastructure.relay.position import RelayPosition

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def builds(gateway: Gateway, name: str) -> dict[str, Json]:
    listed = (await gateway.api.get("/api/projections")).json()["data"]
    return {f"{one['version']}.{one['build']}": one for one in listed if one["name"] == name}


async def test_a_rebuild_while_calls_are_made(gateway: Gateway) -> None:
    with gateway.projecting():
        await gateway.ask()
        await gateway.history_is_complete()
        begun = await gateway.api.post("/api/projections/history/rebuild")
        assert (begun.status_code, begun.json()["role"]) == (202, "building")
        again = await gateway.api.post("/api/projections/history/rebuild")
        assert again.status_code in (202, 409)
        label = f"{begun.json()['version']}.{begun.json()['build']}"

        async def swapped() -> bool:
            return (await builds(gateway, "history"))[label]["role"] in ("live", "retired")

        await gateway.ask()
        await soon(swapped)
        conversations = (await gateway.api.get("/api/conversations")).json()["data"]
        assert len(conversations) >= 2

        live = next(name for name, one in (await builds(gateway, "history")).items() if one["role"] == "live")
        refused = await gateway.api.delete(f"/api/projections/history/builds/{live}")
        assert (refused.status_code, refused.json()["code"]) == (409, "projection_conflict")
        for old, one in (await builds(gateway, "history")).items():
            if one["role"] == "retired":
                assert (await gateway.api.delete(f"/api/projections/history/builds/{old}")).status_code == 204
        assert [one["role"] for one in (await builds(gateway, "history")).values()] == ["live"]


async def test_verify_tells_that_the_ledger_is_right(gateway: Gateway) -> None:
    with gateway.projecting():
        await gateway.ask()
        await gateway.history_is_complete()
        begun = (await gateway.api.post("/api/projections/cost_ledger/verify")).json()

        async def compared() -> bool:
            role = (await builds(gateway, "cost_ledger"))[f"{begun['version']}.{begun['build']}"]["role"]
            return bool(role in ("verified", "different"))

        await soon(compared)
        found = (await builds(gateway, "cost_ledger"))[f"{begun['version']}.{begun['build']}"]
        assert (found["role"], found["error"]) == ("verified", None)


async def test_what_is_wrong_is_said(gateway: Gateway) -> None:
    assert (await gateway.api.delete("/api/projections/nothing")).status_code == 404
    assert (await gateway.api.delete("/api/projections/history")).json()["code"] == "projection_conflict"
    assert (await gateway.api.post("/api/projections/nothing/rebuild")).status_code == 404
    assert (await gateway.api.post("/api/projections/history/pause?build=one")).status_code == 400
    unknown = await gateway.api.post("/api/projections/history/pause?build=9.9")
    assert unknown.status_code in (404, 409)
    assert (await gateway.api.post("/api/projections/history/skip", json={"position": 0})).status_code == 400
    nowhere = await gateway.api.post("/api/projections/history/skip")
    assert (nowhere.status_code, nowhere.json()["param"]) == (400, "body")
    assert (await gateway.api.post("/api/projections/Nothing;/rebuild")).status_code in (400, 404)


async def test_the_relay_is_shown_beside_the_projections_and_kept(
    gateway: Gateway, module_database: ConnectionInfo
) -> None:
    async with await psycopg.AsyncConnection.connect(module_database.dsn, autocommit=True) as connection:
        await RelayPosition(connection, RELAY_TO_NATS).read()
    (shown,) = [one for one in (await gateway.api.get("/api/projections")).json()["data"] if one["role"] == "relay"]
    assert shown["name"] == RELAY_TO_NATS
    page = (await gateway.api.get("/metrics")).text
    assert 'send2llm_projection_lag_events{projection="relay_nats",version="1"}' in page
    for refused in (
        await gateway.api.post(f"/api/projections/{RELAY_TO_NATS}/rebuild"),
        await gateway.api.delete(f"/api/projections/{RELAY_TO_NATS}"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "projection_conflict")


@pytest.mark.parametrize(
    ("body", "param"), [(b'{"foo": 1}', "foo"), (b'{"build": "1.2"}', "build"), (b"[1]", None), (b"{", None)]
)
@pytest.mark.parametrize("verb", ["rebuild", "verify", "swap", "rollback", "pause", "resume", "retry"])
async def test_what_a_command_does_not_take_is_refused(
    gateway: Gateway, verb: str, body: bytes, param: str | None
) -> None:
    before = await builds(gateway, "history")
    refused = await gateway.api.post(f"/api/projections/history/{verb}", content=body)
    assert (refused.status_code, refused.json().get("param")) == (400, param)
    assert len(await builds(gateway, "history")) == len(before)


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
async def test_a_command_takes_an_empty_body(gateway: Gateway, body: bytes) -> None:
    with gateway.projecting():
        await gateway.ask()
        await gateway.history_is_complete()
    assert (await gateway.api.post("/api/projections/history/resume", content=body)).status_code == 200
