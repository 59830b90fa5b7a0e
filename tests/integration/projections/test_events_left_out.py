"""An event at which a projection fails can be left out on purpose, in all builds alike, and that is recorded."""

import asyncio
import threading
from dataclasses import replace

import pytest
from complaints import raise_value_error
from fussy import Fussy
from sqlalchemy import Connection, text
from stage import QUICK, Builds, Stage
from tally_projection import Tally

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict, ProjectionNotFound
from send2llm.testing.eventually import eventually, eventually_async


async def test_an_event_can_be_left_out_on_purpose_and_that_is_recorded(stage: Stage, builds: Builds) -> None:
    stage.say("fine")
    stage.mumble()
    stage.say("fine")
    with stage.project(Tally()):
        eventually(lambda: stage.checkpoint("failed_position") == 2)
        with pytest.raises(ProjectionConflict, match="failed at position 2, not at 1"):
            await builds.skip("tally", 1, "ops")
        with pytest.raises(ProjectionNotFound):
            await builds.skip("nothing", 1, "ops")
        await builds.skip("tally", 2, "ops")
        eventually(stage.caught_up)

        assert stage.rows("SELECT name, version, position, actor FROM projection_skips") == [("tally", 1, 2, "ops")]
        assert stage.value("SELECT count FROM tally_counts WHERE text = 'fine'") == 2
        assert (await builds.status("1.1")).skipped == 1
        # A rebuild leaves it out as well.
        await builds.rebuild("tally")
        await builds.until("1.2", role="live")
        assert stage.value("SELECT count FROM tally_counts WHERE text = 'fine'") == 2


async def test_what_is_left_out_is_left_out_in_every_build_that_stands_before_it(stage: Stage, builds: Builds) -> None:
    failed = "SELECT count(*) FROM projection_checkpoints WHERE failed_position = 2"
    stage.say("fine", "poison", "fine too")
    with stage.project(Fussy(raise_value_error)):
        eventually(lambda: stage.value(failed) == 1)
        await builds.rebuild("fussy")
        eventually(lambda: stage.value(failed) == 2)
        # Another try of both, which does not help.
        await builds.retry("fussy")
        eventually(lambda: stage.value(failed) == 2)

        await builds.skip("fussy", 2, "ops")

        await builds.until("1.2", role="live", of="fussy")
        assert stage.value("SELECT count(*) FROM projection_skips") == 1
        assert stage.value(failed) == 0


async def test_what_is_left_out_meanwhile_is_left_out_by_a_build_that_was_begun_before(
    stage: Stage, builds: Builds
) -> None:
    is_held, go_on = threading.Event(), threading.Event()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    def complain(connection: Connection) -> None:
        if "build_fussy" in connection.execute(text("SHOW search_path")).scalar_one():
            is_held.set()
            assert go_on.wait(20)
        raise_value_error(connection)

    async def skip_waits() -> bool:
        return stage.value(waiting) == 1

    stage.say("fine", "poison", "fine too")
    with stage.project(Fussy(complain), timing=replace(QUICK, page_size=1)):
        eventually(lambda: stage.checkpoint("failed_position", of="fussy") == 2)
        await builds.rebuild("fussy")
        assert is_held.wait(20)
        skipping = asyncio.create_task(builds.skip("fussy", 2, "ops"))
        await eventually_async(skip_waits)
        go_on.set()
        await skipping

        await builds.until("1.2", role="live", of="fussy")
        eventually(lambda: stage.caught_up("fussy"))
        assert stage.value("SELECT count(*) FROM projection_checkpoints WHERE reason IS NOT NULL") == 0


async def test_a_build_that_stands_before_an_event_leaves_it_out_too(stage: Stage, builds: Builds) -> None:
    """It was begun, and knew what is left out, before somebody decided that."""
    stage.say("fine", "poison", "fine too")
    with stage.project(Fussy(raise_value_error)):
        eventually(lambda: stage.checkpoint("failed_position", of="fussy") == 2)
        await builds.rebuild("fussy")
        await builds.pause("fussy", BuildName(1, 2))
        eventually(lambda: len(stage.runners("fussy")) == 2)
        await builds.skip("fussy", 2, "ops")
        await builds.resume("fussy", BuildName(1, 2))

        await builds.until("1.2", role="live", of="fussy")
