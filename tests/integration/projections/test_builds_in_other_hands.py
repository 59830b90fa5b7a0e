"""What somebody else works on, or has moved meanwhile, is left to him."""

from collections.abc import Callable, Iterator

import pytest
from onlooker import QUICK, Onlooker, Project
from sqlalchemy import Engine, NullPool, create_engine, text
from standing import roles
from tally_projection import COUNT, Tally

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.abandoned_builds import remove_abandoned
from send2llm.infrastructure.projections.arrival import Arrival
from send2llm.infrastructure.projections.checkpoints import BuildKey
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.lease import lease_key
from send2llm.infrastructure.projections.log_pages import LogPages
from send2llm.infrastructure.projections.runner_checkpoint import Checkpoint, CheckpointMoved
from send2llm.infrastructure.projections.setbacks import UNTOLD, Setbacks
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.infrastructure.projections.table_creation import create_tables
from send2llm.testing.eventually import eventually


@pytest.fixture
def engine(migrated: ConnectionInfo) -> Iterator[Engine]:
    engine = create_engine(migrated.sqlalchemy_url, poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def three_are_counted(project: Project, say: Callable[..., None], onlooker: Onlooker) -> None:
    """The live build is at position 3, and nobody runs it any more."""
    with project(Tally()):
        say("a", "b", "c")
        eventually(onlooker.caught_up)


@pytest.mark.usefixtures("three_are_counted")
async def test_an_old_build_on_which_somebody_works_is_not_removed(
    engine: Engine, onlooker: Onlooker, builds: PostgresProjectionBuilds, statuses: PostgresProjections
) -> None:
    """It has failed, say, and its runner waits to be told to try again."""
    await builds.rebuild("tally")
    onlooker.connection.execute("UPDATE projection_checkpoints SET updated_at = now() - interval '2 days'")
    lease = lease_key("tally", 1, 2)
    onlooker.value("SELECT pg_advisory_lock(%s)", lease)
    assert remove_abandoned(engine) == []
    assert await roles(statuses) == {"1.1": "live", "1.2": "building"}
    onlooker.value("SELECT pg_advisory_unlock(%s)", lease)
    assert len(remove_abandoned(engine)) == 1


@pytest.mark.usefixtures("three_are_counted")
def test_a_setback_is_not_told_of_a_build_that_another_process_has_taken_over(
    engine: Engine, onlooker: Onlooker
) -> None:
    reason = "SELECT reason FROM projection_checkpoints"
    lease = lease_key("tally", 1)
    setbacks = Setbacks(engine, Checkpoint(BuildKey("tally", 1)), QUICK)
    onlooker.value("SELECT pg_advisory_lock(%s)", lease)
    for _ in range(UNTOLD + 1):
        setbacks.add(ConnectionError("it is gone"))
    assert (onlooker.value(reason), setbacks.told) == (None, False)
    onlooker.value("SELECT pg_advisory_unlock(%s)", lease)
    setbacks.add(ConnectionError("it is gone"))
    assert str(onlooker.value(reason)).startswith("ConnectionError: it is gone (tried")


@pytest.mark.usefixtures("three_are_counted")
async def test_a_build_takes_its_place_at_once_though_the_live_one_is_ahead(
    engine: Engine,
    codec: EventCodec,
    onlooker: Onlooker,
    builds: PostgresProjectionBuilds,
    statuses: PostgresProjections,
) -> None:
    """In a steady stream of events it always is: what is left is taken in while the live build waits."""
    await builds.rebuild("tally")
    key = BuildKey("tally", 1, 2, str(onlooker.value("SELECT place FROM projection_checkpoints WHERE build = 2")))
    checkpoint = Checkpoint(key)
    with engine.connect() as connection:
        with connection.begin():
            connection.execute(text(f'SET search_path TO "{key.place}", public'))
            create_tables(connection, Tally(), key)
            assert checkpoint.begin(connection) == 0
        assert Arrival(Tally(), checkpoint, LogPages(codec)).at_the_end(connection, 0) == 3
    assert await roles(statuses) == {"1.1": "retired", "1.2": "live"}
    assert onlooker.value(COUNT) == 3
    assert onlooker.value("SELECT position FROM projection_checkpoints WHERE build = 2") == 3


@pytest.mark.usefixtures("three_are_counted")
@pytest.mark.parametrize("role", ["verified", "different"])
def test_a_build_that_was_compared_meanwhile_is_not_folded_into(engine: Engine, onlooker: Onlooker, role: str) -> None:
    """Its tables may be gone; a fold would find those of the live build."""
    checkpoint = Checkpoint(BuildKey("tally", 1))
    with engine.begin() as connection:
        checkpoint.hold(connection, 3)
    onlooker.connection.execute("UPDATE projection_checkpoints SET role = %s", (role,))
    with engine.begin() as connection, pytest.raises(CheckpointMoved):
        checkpoint.hold(connection, 3)
