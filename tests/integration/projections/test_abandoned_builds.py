"""Builds that nobody has worked on for a day go, except where others have made something upon them."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine
from stage import QUICK, Builds, Stage, label
from tally_projection import COUNT, Tally

from send2llm.infrastructure.projections.abandoned_builds import remove_abandoned
from send2llm.testing.eventually import eventually

A_DAY_LATER = "UPDATE projection_checkpoints SET updated_at = now() - interval '25 hours' WHERE build > 1"


async def test_a_build_that_nobody_works_on_is_removed_after_a_day(
    stage: Stage, builds: Builds, engine: Engine
) -> None:
    stage.counted("a")
    await builds.rebuild("tally")
    assert remove_abandoned(engine) == []
    stage.execute(A_DAY_LATER)
    assert [build.label for build in remove_abandoned(engine)] == ["1.2"]

    assert await builds.roles() == {"1.1": "live"}
    assert stage.places() == []


async def test_builds_that_were_compared_are_removed_after_a_day(stage: Stage, builds: Builds, engine: Engine) -> None:
    with stage.counting("a"):
        await builds.verify("tally")
        await builds.until("1.2", role="verified")
        stage.execute("UPDATE tally_v1_counts SET count = 2")
        await builds.verify("tally")
        await builds.until("1.3", role="different")
    stage.execute(A_DAY_LATER)
    stage.execute("UPDATE projection_checkpoints SET paused = build = 3")  # which means nothing there
    assert [build.label for build in remove_abandoned(engine)] == ["1.2", "1.3"]

    assert await builds.roles() == {"1.1": "live"}
    assert stage.places() == []


async def test_one_that_somebody_works_on_stays_however_long_it_stands_still(
    stage: Stage, builds: Builds, engine: Engine
) -> None:
    stage.counted("a")
    await builds.rebuild("tally")
    stage.execute(A_DAY_LATER)
    with stage.somebody_works_on("1.2"):
        assert remove_abandoned(engine) == []
    assert [build.label for build in remove_abandoned(engine)] == ["1.2"]


async def test_one_that_cannot_be_removed_stays_and_says_why_and_the_projector_goes_on(
    stage: Stage, builds: Builds, capsys: pytest.CaptureFixture[str]
) -> None:
    with stage.counting("a"):
        for _ in range(2):
            stage.execute("UPDATE tally_v1_counts SET count = count + 1")
            begun = await builds.verify("tally")
            await builds.until(label(begun), role="different")
    place = stage.checkpoint("place", "1.2")
    stage.execute(f'CREATE VIEW my_look AS SELECT * FROM "{place}".tally_v1_counts')
    found = (await builds.status("1.2")).reason
    stage.execute(A_DAY_LATER)

    with stage.project(Tally(), timing=replace(QUICK, tidy=0.05)):
        waits_for = eventually(lambda: stage.checkpoint("waits_for", "1.2"))
        assert f"view my_look depends on table {place}.tally_v1_counts" in waits_for
        assert (await builds.status("1.2")).reason == found
        # What it cannot do for one build, it does for the others, and what is begun now finds somebody to work on it.
        await builds.come_to({"1.1": "live", "1.2": "different"})
        await builds.rebuild("tally")
        await builds.until("1.3", role="live")
        assert stage.value(COUNT) == 1
        stage.execute("DROP VIEW my_look")
        await builds.come_to({"1.1": "retired", "1.3": "live"})
    assert capsys.readouterr().out.count("projection.not_removed") == 1
