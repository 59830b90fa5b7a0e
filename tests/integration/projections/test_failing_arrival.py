"""An event at fault among the last ones, which a build folds in the very moment in which it takes its place."""

from collections.abc import Callable, Sequence

import pytest
from onlooker import Onlooker, Project
from sqlalchemy import Connection, text
from standing import by_label, has_failed, has_role
from tally_projection import Tally

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.projections import RecordedEvent
from send2llm.testing.eventually import eventually, eventually_async

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
async def test_it_is_named_and_no_other(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
    command: str,
    role: str,
) -> None:
    picky = PickyWhenRebuilt()
    with project(Tally()):
        say("a", "b", "c")
        eventually(onlooker.caught_up)
    await getattr(builds, command)("tally")
    await builds.pause("tally", REBUILT)
    with project(picky):
        eventually(onlooker.lease_holder)
        with onlooker.turn() as waiting:
            await builds.resume("tally", REBUILT)
            eventually(waiting)
            say("d", "poison", "e")
            eventually(lambda: onlooker.value("SELECT position FROM projection_checkpoints WHERE build = 1") == 6)
        await eventually_async(lambda: has_failed(statuses, "1.2"))

        status = (await by_label(statuses))["1.2"]
        assert (status.reason, status.failed_position, status.position) == ("ValueError: cannot stand it", 5, 4)
        with pytest.raises(ProjectionConflict, match="failed at position 5, not at 4"):
            await builds.skip("tally", 4, "ops")
        picky.cured = True
        await builds.retry("tally")
        await eventually_async(lambda: has_role(statuses, "1.2", role))


async def test_what_is_no_events_fault_names_none(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    """A verification cannot come to the position of a live build that stands still, whatever is stored after it."""
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
    await builds.verify("tally")
    await builds.pause("tally")
    await builds.pause("tally", REBUILT)
    with project(Tally()):
        eventually(lambda: len(onlooker.backends("send2llm projection tally")) == 2)
        say("b")
        with onlooker.turn() as waiting:
            await builds.resume("tally", REBUILT)
            eventually(waiting)
            say("c")
        await eventually_async(lambda: has_failed(statuses, "1.2"))

        status = (await by_label(statuses))["1.2"]
        assert status.reason == "ProjectionConflict: The live build 1.1 of tally is paused; resume it first."
        assert status.failed_position is None
        with pytest.raises(ProjectionConflict, match=r"1\.2 of tally failed at no event"):
            await builds.skip("tally", 3, "ops")
