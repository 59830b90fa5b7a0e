"""Verification: a projection is folded from zero beside the one that is read, and both are compared."""

from collections.abc import Callable

import pytest
from onlooker import Onlooker, Project
from standing import by_label, has_failed, has_role
from tally_projection import COUNT, Tally

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.lease import lease_key
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.testing.eventually import eventually, eventually_async


async def test_verify_finds_that_all_is_right_and_leaves_nothing_behind(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say(*["a"] * 40, "b")
        eventually(onlooker.caught_up)
        begun = await builds.verify("tally")
        await eventually_async(lambda: has_role(statuses, "1.2", "verified"))

        status = (await by_label(statuses))[f"{begun.version}.{begun.build}"]
        assert (status.reason, status.state, status.lag_events) == (None, "done", 0)
        assert onlooker.value("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'build_%%'") == 0


async def test_whoever_stood_by_leaves_a_build_alone_that_was_compared(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    """Its tables are gone; whoever folded into it would find those of the live build."""
    lease = lease_key("tally", 1, 2)
    with project(Tally()), project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        onlooker.value("SELECT pg_advisory_lock(%s)", lease)
        await builds.verify("tally")
        eventually(lambda: len(onlooker.backends("send2llm projection tally")) == 4)
        onlooker.value("SELECT pg_advisory_unlock(%s)", lease)
        await eventually_async(lambda: has_role(statuses, "1.2", "verified"))
        eventually(lambda: len(onlooker.backends("send2llm projection tally")) == 2)
        compared = (await by_label(statuses))["1.2"]
        say("b", "c")
        eventually(lambda: onlooker.value(COUNT) == 3)
        assert (await by_label(statuses))["1.2"].position == compared.position
    assert compared.reason is None
    onlooker.assert_tally_is_exact()


async def test_verify_ends_with_a_reason_when_the_live_build_stands_still(
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
    await builds.pause("tally")
    say("b")
    with project(Tally()):
        await eventually_async(lambda: has_failed(statuses, "1.2"))

        assert (await by_label(statuses))["1.2"].reason == (
            "ProjectionConflict: The live build 1.1 of tally is paused; resume it first."
        )
        await builds.resume("tally")
        await builds.retry("tally")
        await eventually_async(lambda: has_role(statuses, "1.2", "verified"))


async def test_verify_is_not_begun_when_the_live_build_has_failed(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
    onlooker.connection.execute("UPDATE projection_checkpoints SET reason = 'ValueError: no'")
    with pytest.raises(ProjectionConflict, match=r"has failed; mend it, and retry or skip: ValueError: no"):
        await builds.verify("tally")
    assert (await builds.rebuild("tally")).role == "building"


async def test_verify_finds_rows_that_the_events_do_not_explain(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say(*["a"] * 40, "b")
        eventually(onlooker.caught_up)
        onlooker.connection.execute("UPDATE tally_v1_counts SET count = 41 WHERE text = 'a'")
        await builds.verify("tally")
        await eventually_async(lambda: has_role(statuses, "1.2", "different"))

        found = (await by_label(statuses))["1.2"].reason
        assert found == "tally_v1_counts: 1 rows only in the live build, 1 only in the rebuilt one"


async def test_a_build_that_was_compared_cannot_be_paused(
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
    for command in (builds.pause, builds.resume):
        with pytest.raises(ProjectionConflict, match=r"1\.2 of tally was compared, and nothing is done for it"):
            await command("tally", BuildName(1, 2))
    assert onlooker.value("SELECT bool_or(paused) FROM projection_checkpoints") is False
