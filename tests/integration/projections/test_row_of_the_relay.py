"""The relay's row stands beside those of the projections, and is none: it has a position, and no builds."""

import pytest
from psycopg_pool import AsyncConnectionPool
from stage import Builds, Stage

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.infrastructure.relay.names import RELAY_TO_NATS
from send2llm.infrastructure.relay.position import RelayPosition

ROWS = "SELECT name, version, build, role, position FROM projection_checkpoints"


@pytest.fixture
async def stopped_relay(pool: AsyncConnectionPool) -> None:
    """What is left when a relay has come to position 17."""
    async with pool.connection() as connection:
        relay = RelayPosition(connection, RELAY_TO_NATS)
        await relay.read()
        await relay.move(0, 17, 0.0)


@pytest.mark.usefixtures("stopped_relay")
async def test_nothing_is_built_beside_it(stage: Stage, builds: Builds, statuses: PostgresProjections) -> None:
    before = stage.rows(ROWS)
    for command in (builds.rebuild, builds.verify, builds.swap, builds.rollback):
        with pytest.raises(ProjectionConflict, match="relay_nats is a relay, no projection, and has no builds"):
            await command(RELAY_TO_NATS)
    with pytest.raises(ProjectionConflict, match="what there is for it is pause, resume, retry and skip"):
        await builds.drop(RELAY_TO_NATS, BuildName(1, 1))

    assert stage.rows(ROWS) == before
    assert stage.places() == []
    (status,) = await statuses.all()
    assert (status.role, status.state, status.position) == ("relay", "waiting", 17)


@pytest.mark.usefixtures("stopped_relay")
async def test_its_position_is_not_forgotten_with_a_command(stage: Stage, builds: Builds) -> None:
    with pytest.raises(ProjectionConflict, match="would hand on all events again, from the first") as refused:
        await builds.remove(RELAY_TO_NATS)
    assert stage.value("SELECT position FROM projection_checkpoints") == 17

    stage.execute(str(refused.value).partition("run in the database: ")[2])
    assert stage.rows(ROWS) == []


@pytest.mark.usefixtures("stopped_relay")
async def test_it_is_paused_and_resumed(builds: Builds) -> None:
    assert (await builds.pause(RELAY_TO_NATS)).state == "paused"
    assert (await builds.resume(RELAY_TO_NATS)).state == "waiting"
