"""An event at fault among the last ones, which a build folds in the very moment in which it takes its place."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, text
from stage import Builds, Stage
from tally_projection import Tally

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.projections import RecordedEvent
from send2llm.testing.eventually import eventually

REBUILT = BuildName(1, 2)


class PickyWhenRebuilt(Tally):
    """Cannot stand poison in a build beside the live one, until it is cured."""

    cured = False

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        beside = "build_tally" in connection.execute(text("SHOW search_path")).scalar_one()
        if beside and not self.cured and any(one.event.message.text == "poison" for one in events):
            raise ValueError("cannot stand it")
        super().fold(events, connection)


@pytest.mark.parametrize(("command", "role"), [("rebuild", "live"), ("verify", "verified")])
async def test_it_is_named_and_no_other(stage: Stage, builds: Builds, command: str, role: str) -> None:
    picky = PickyWhenRebuilt()
    stage.counted("a", "b", "c")
    await getattr(builds, command)("tally")
    await builds.pause("tally", REBUILT)
    with stage.project(picky):
        eventually(stage.lease_holder)
        with stage.turn() as waiting:
            await builds.resume("tally", REBUILT)
            eventually(waiting)
            stage.say("d", "poison", "e")
            eventually(lambda: stage.position() == 6)
        status = await builds.until("1.2", state="failed")

        assert (status.reason, status.failed_position, status.position) == ("ValueError: cannot stand it", 5, 4)
        with pytest.raises(ProjectionConflict, match="failed at position 5, not at 4"):
            await builds.skip("tally", 4, "ops")
        picky.cured = True
        await builds.retry("tally")
        await builds.until("1.2", role=role)


async def test_what_is_no_events_fault_names_none(stage: Stage, builds: Builds) -> None:
    """A verification cannot come to the position of a live build that stands still, whatever is stored after it."""
    stage.counted("a")
    await builds.verify("tally")
    await builds.pause("tally")
    await builds.pause("tally", REBUILT)
    with stage.project(Tally()):
        eventually(lambda: len(stage.runners()) == 2)
        stage.say("b")
        with stage.turn() as waiting:
            await builds.resume("tally", REBUILT)
            eventually(waiting)
            stage.say("c")
        status = await builds.until("1.2", state="failed")

        assert status.reason == "ProjectionConflict: The live build 1.1 of tally is paused; resume it first."
        assert status.failed_position is None
        with pytest.raises(ProjectionConflict, match=r"1\.2 of tally failed at no event"):
            await builds.skip("tally", 3, "ops")
