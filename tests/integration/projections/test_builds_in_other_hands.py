"""What somebody else works on, or has moved meanwhile, is left to him."""

import pytest
from sqlalchemy import Engine, text
from stage import QUICK, Builds, Stage
from tally_projection import COUNT, Tally

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.projections.abandoned_builds import remove_abandoned
from send2llm.infrastructure.projections.arrival import Arrival
from send2llm.infrastructure.projections.checkpoints import BuildKey
from send2llm.infrastructure.projections.log_pages import LogPages
from send2llm.infrastructure.projections.runner_checkpoint import Checkpoint, CheckpointMoved
from send2llm.infrastructure.projections.setbacks import UNTOLD, Setbacks
from send2llm.infrastructure.projections.table_creation import create_tables


async def test_an_old_build_on_which_somebody_works_is_not_removed(
    stage: Stage, builds: Builds, engine: Engine
) -> None:
    """It has failed, say, and its runner waits to be told to try again."""
    stage.counted("a")
    await builds.rebuild("tally")
    stage.execute("UPDATE projection_checkpoints SET updated_at = now() - interval '2 days'")
    with stage.somebody_works_on("1.2"):
        assert remove_abandoned(engine) == []
        assert await builds.roles() == {"1.1": "live", "1.2": "building"}
    assert len(remove_abandoned(engine)) == 1


def test_a_setback_is_not_told_of_a_build_that_another_process_has_taken_over(stage: Stage, engine: Engine) -> None:
    stage.counted("a")
    setbacks = Setbacks(engine, Checkpoint(BuildKey("tally", 1)), QUICK)
    with stage.somebody_works_on("1.1"):
        for _ in range(UNTOLD + 1):
            setbacks.add(ConnectionError("it is gone"))
        assert (stage.checkpoint("reason"), setbacks.told) == (None, False)
    setbacks.add(ConnectionError("it is gone"))
    assert stage.checkpoint("reason").startswith("ConnectionError: it is gone (tried")


async def test_a_build_takes_its_place_at_once_though_the_live_one_is_ahead(
    stage: Stage, builds: Builds, engine: Engine, codec: EventCodec
) -> None:
    """In a steady stream of events it always is: what is left is taken in while the live build waits."""
    stage.counted("a", "b", "c")
    await builds.rebuild("tally")
    key = BuildKey("tally", 1, 2, stage.checkpoint("place", "1.2"))
    checkpoint = Checkpoint(key)
    with engine.connect() as connection:
        with connection.begin():
            connection.execute(text(f'SET search_path TO "{key.place}", public'))
            create_tables(connection, Tally(), key)
            assert checkpoint.begin(connection) == 0
        assert Arrival(Tally(), checkpoint, LogPages(codec)).at_the_end(connection, 0) == 3
    assert await builds.roles() == {"1.1": "retired", "1.2": "live"}
    assert stage.value(COUNT) == 3
    assert stage.position(build="1.2") == 3


@pytest.mark.parametrize("role", ["verified", "different"])
def test_a_build_that_was_compared_meanwhile_is_not_folded_into(stage: Stage, engine: Engine, role: str) -> None:
    """Its tables may be gone; a fold would find those of the live build."""
    stage.counted("a", "b", "c")
    checkpoint = Checkpoint(BuildKey("tally", 1))
    with engine.begin() as connection:
        checkpoint.hold(connection, 3)
    stage.execute("UPDATE projection_checkpoints SET role = %s", role)
    with engine.begin() as connection, pytest.raises(CheckpointMoved):
        checkpoint.hold(connection, 3)
