"""Verification: a projection is folded from zero beside the one that is read, and both are compared."""

import pytest
from stage import Builds, Stage, label
from tally_projection import COUNT, Tally

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.testing.eventually import eventually


async def test_verify_finds_that_all_is_right_and_leaves_nothing_behind(stage: Stage, builds: Builds) -> None:
    with stage.counting(*["a"] * 40, "b"):
        begun = await builds.verify("tally")
        await builds.until("1.2", role="verified")

        status = await builds.status(label(begun))
        assert (status.reason, status.state, status.lag_events) == (None, "done", 0)
        assert stage.places() == []


async def test_whoever_stood_by_leaves_a_build_alone_that_was_compared(stage: Stage, builds: Builds) -> None:
    """Its tables are gone; whoever folded into it would find those of the live build."""
    with stage.project(Tally()), stage.counting("a"):
        with stage.somebody_works_on("1.2"):
            await builds.verify("tally")
            eventually(lambda: len(stage.runners()) == 4)
        await builds.until("1.2", role="verified")
        eventually(lambda: len(stage.runners()) == 2)
        compared = await builds.status("1.2")
        stage.say("b", "c")
        eventually(lambda: stage.value(COUNT) == 3)
        assert (await builds.status("1.2")).position == compared.position
    assert compared.reason is None
    stage.assert_tally_is_exact()


async def test_verify_ends_with_a_reason_when_the_live_build_stands_still(stage: Stage, builds: Builds) -> None:
    stage.counted("a")
    await builds.verify("tally")
    await builds.pause("tally")
    stage.say("b")
    with stage.project(Tally()):
        failed = await builds.until("1.2", state="failed")

        assert failed.reason == "ProjectionConflict: The live build 1.1 of tally is paused; resume it first."
        await builds.resume("tally")
        await builds.retry("tally")
        await builds.until("1.2", role="verified")


async def test_verify_is_not_begun_when_the_live_build_has_failed(stage: Stage, builds: Builds) -> None:
    stage.counted("a")
    stage.execute("UPDATE projection_checkpoints SET reason = 'ValueError: no'")
    with pytest.raises(ProjectionConflict, match=r"has failed; mend it, and retry or skip: ValueError: no"):
        await builds.verify("tally")
    assert (await builds.rebuild("tally")).role == "building"


async def test_verify_finds_rows_that_the_events_do_not_explain(stage: Stage, builds: Builds) -> None:
    with stage.counting(*["a"] * 40, "b"):
        stage.execute("UPDATE tally_v1_counts SET count = 41 WHERE text = 'a'")
        await builds.verify("tally")
        found = await builds.until("1.2", role="different")

        assert found.reason == "tally_v1_counts: 1 rows only in the live build, 1 only in the rebuilt one"


async def test_a_build_that_was_compared_cannot_be_paused(stage: Stage, builds: Builds) -> None:
    with stage.counting("a"):
        await builds.verify("tally")
        await builds.until("1.2", role="verified")
    for command in (builds.pause, builds.resume):
        with pytest.raises(ProjectionConflict, match=r"1\.2 of tally was compared, and nothing is done for it"):
            await command("tally", BuildName(1, 2))
    assert stage.value("SELECT bool_or(paused) FROM projection_checkpoints") is False
