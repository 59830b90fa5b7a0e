"""Builds that nobody has worked on for a day go, except where others have made something upon them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from onlooker import QUICK, Onlooker, Project
from sqlalchemy import Engine, NullPool, create_engine
from standing import by_label, has_role, roles, stand_as
from tally_projection import COUNT, Tally

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.abandoned_builds import remove_abandoned
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.lease import lease_key
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.testing.eventually import eventually, eventually_async

A_DAY_LATER = "UPDATE projection_checkpoints SET updated_at = now() - interval '25 hours' WHERE build > 1"
PLACES = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'build_%%'"
WAITS_FOR = "SELECT waits_for FROM projection_checkpoints WHERE build = 2"


@pytest.fixture
def engine(migrated: ConnectionInfo) -> Engine:
    return create_engine(migrated.sqlalchemy_url, poolclass=NullPool)


async def test_a_build_that_nobody_works_on_is_removed_after_a_day(
    engine: Engine,
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
    await builds.rebuild("tally")
    assert remove_abandoned(engine) == []
    onlooker.connection.execute(A_DAY_LATER)
    assert [build.label for build in remove_abandoned(engine)] == ["1.2"]

    assert await roles(statuses) == {"1.1": "live"}
    assert onlooker.value(PLACES) == 0


async def test_builds_that_were_compared_are_removed_after_a_day(
    engine: Engine,
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        await builds.verify("tally")
        await eventually_async(lambda: has_role(statuses, "1.2", "verified"))
        onlooker.connection.execute("UPDATE tally_v1_counts SET count = 2")
        await builds.verify("tally")
        await eventually_async(lambda: has_role(statuses, "1.3", "different"))
    onlooker.connection.execute(A_DAY_LATER)
    onlooker.connection.execute("UPDATE projection_checkpoints SET paused = build = 3")  # which means nothing there
    assert [build.label for build in remove_abandoned(engine)] == ["1.2", "1.3"]

    assert await roles(statuses) == {"1.1": "live"}
    assert onlooker.value(PLACES) == 0


async def test_one_that_somebody_works_on_stays_however_long_it_stands_still(
    engine: Engine,
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
    await builds.rebuild("tally")
    onlooker.connection.execute(A_DAY_LATER)
    lease = lease_key("tally", 1, 2)
    onlooker.value("SELECT pg_advisory_lock(%s)", lease)
    assert remove_abandoned(engine) == []
    onlooker.value("SELECT pg_advisory_unlock(%s)", lease)
    assert [build.label for build in remove_abandoned(engine)] == ["1.2"]


async def test_one_that_cannot_be_removed_stays_and_says_why_and_the_projector_goes_on(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        for _ in range(2):
            onlooker.connection.execute("UPDATE tally_v1_counts SET count = count + 1")
            begun = await builds.verify("tally")
            label = f"{begun.version}.{begun.build}"
            await eventually_async(lambda label=label: has_role(statuses, label, "different"))
    place = onlooker.value("SELECT place FROM projection_checkpoints WHERE build = 2")
    onlooker.connection.execute(f'CREATE VIEW my_look AS SELECT * FROM "{place}".tally_v1_counts')
    found = (await by_label(statuses))["1.2"].reason
    onlooker.connection.execute(A_DAY_LATER)

    with project(Tally(), timing=replace(QUICK, tidy=0.05)):
        eventually(lambda: onlooker.value(WAITS_FOR))
        assert f"view my_look depends on table {place}.tally_v1_counts" in str(onlooker.value(WAITS_FOR))
        assert (await by_label(statuses))["1.2"].reason == found
        # What it cannot do for one build, it does for the others, and what is begun now finds somebody to work on it.
        await eventually_async(lambda: stand_as(statuses, {"1.1": "live", "1.2": "different"}))
        await builds.rebuild("tally")
        await eventually_async(lambda: has_role(statuses, "1.3", "live"))
        assert onlooker.value(COUNT) == 1
        onlooker.connection.execute("DROP VIEW my_look")
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.3": "live"}))
    assert capsys.readouterr().out.count("projection.not_removed") == 1
