"""Builds: a projection is built anew beside the one that is read, and takes its place; nothing stands still for it."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from onlooker import Onlooker, Project
from psycopg.errors import UndefinedColumn
from sqlalchemy import NullPool, create_engine
from standing import by_label, name_of, roles, stand_as
from tally_projection import COUNT, MESSAGES, Tally, TallyTwo

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict, ProjectionNotFound
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.builds import begin_build, drop
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.testing.eventually import eventually, eventually_async

CAUGHT_UP = (
    "SELECT position = (SELECT max(notification_id) FROM stored_events) FROM projection_checkpoints WHERE build = 1"
)


async def test_a_projection_is_read_under_a_name_without_a_version(
    project: Project, say: Callable[..., None], onlooker: Onlooker
) -> None:
    with project(Tally()):
        say("a", "b")
        eventually(onlooker.caught_up)

        assert onlooker.value(COUNT) == 2


async def test_a_rebuild_takes_the_place_of_the_live_build_while_events_come(
    migrated: ConnectionInfo,
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say(*["before"] * 50)
        eventually(onlooker.caught_up)
        stop = threading.Event()

        def keep_saying() -> None:
            """As fast as the live build takes it in: nobody catches up with who can write faster than that."""
            with psycopg.connect(migrated.dsn, autocommit=True) as connection:
                look = Onlooker(connection)
                while not stop.is_set():
                    say("meanwhile")
                    eventually(lambda: stop.is_set() or look.value(CAUGHT_UP))

        writer = threading.Thread(target=keep_saying)
        writer.start()
        try:
            begun = await builds.rebuild("tally")
            assert (begun.version, begun.build, begun.role) == (1, 2, "building")
            await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "live"}))
        finally:
            stop.set()
            writer.join()
        stored = onlooker.value(f"SELECT count(*) FROM stored_events WHERE topic = '{MESSAGES}'")
        eventually(lambda: onlooker.value(COUNT) == stored)
        # What was read before is kept up to date, so that it can be read again.
        eventually(lambda: onlooker.value("SELECT sum(count) FROM tally_v1_counts") == stored)
        place = onlooker.value("SELECT place FROM projection_checkpoints WHERE build = 2")
        assert onlooker.value(f'SELECT sum(count) FROM "{place}".tally_v1_counts') == stored


async def test_the_last_few_events_are_taken_in_with_the_place(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say("a", "b")
        eventually(onlooker.caught_up)
    await builds.rebuild("tally")
    await builds.pause("tally", BuildName(1, 2))
    with project(Tally()):
        eventually(onlooker.lease_holder)
        with onlooker.turn() as waiting:
            await builds.resume("tally", BuildName(1, 2))
            eventually(waiting)
            say("c", "d", "e")
            eventually(lambda: onlooker.value("SELECT position FROM projection_checkpoints WHERE build = 1") == 5)
            assert onlooker.value("SELECT position FROM projection_checkpoints WHERE build = 2") == 2
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "live"}))

        assert onlooker.value(COUNT) == 5


async def test_rollback_and_drop(
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
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "live"}))

        assert (await builds.rollback("tally")).build == 1
        assert await roles(statuses) == {"1.1": "live", "1.2": "retired"}
        with pytest.raises(ProjectionConflict, match=r"1\.1 of tally is what is read"):
            await builds.drop("tally", BuildName(1, 1))
        place = onlooker.value("SELECT place FROM projection_checkpoints WHERE build = 2")
        await builds.drop("tally", BuildName(1, 2))

        assert await roles(statuses) == {"1.1": "live"}
        assert onlooker.value("SELECT to_regnamespace(%s)", place) is None
        say("b")
        eventually(lambda: onlooker.value(COUNT) == 2)
        with pytest.raises(ProjectionConflict, match="no earlier build"):
            await builds.rollback("tally")


async def test_the_next_version_is_built_beside_and_swapped_in(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say(*["a"] * 30)
        eventually(onlooker.caught_up)
    with project(Tally(), TallyTwo()):
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "2.1": "live"}))
        assert onlooker.value("SELECT max(length) FROM tally_seen") == 1
        assert onlooker.value(COUNT) == 30

        await builds.rollback("tally")
        with pytest.raises(UndefinedColumn, match="length"):
            onlooker.value("SELECT max(length) FROM tally_seen")
        assert onlooker.value(COUNT) == 30


async def test_a_rebuild_that_a_newer_version_has_overtaken_does_not_take_its_place(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say(*["a"] * 30)
        eventually(onlooker.caught_up)
    await builds.rebuild("tally")
    await builds.pause("tally", BuildName(1, 2))
    with project(Tally(), TallyTwo()):
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "building", "2.1": "live"}))
        await builds.resume("tally", BuildName(1, 2))
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "retired", "2.1": "live"}))
        assert onlooker.value("SELECT max(length) FROM tally_seen") == 1

        await builds.rollback("tally")
        assert onlooker.value(COUNT) == 30


async def test_rollback_goes_to_what_was_read_last_not_to_what_moved_last(
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
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "live"}))
    with project(Tally(), TallyTwo()):
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "retired", "2.1": "live"}))
    # The first build is the last one that somebody has worked on.
    onlooker.connection.execute("UPDATE projection_checkpoints SET updated_at = now() WHERE version = 1 AND build = 1")

    assert str(name_of(await builds.rollback("tally"))) == "1.2"
    assert str(name_of(await builds.rollback("tally"))) == "2.1"


async def test_an_old_version_that_was_dropped_does_not_come_back(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
    with project(Tally(), TallyTwo()):
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "2.1": "live"}))
        await builds.drop("tally", BuildName(1, 1))
        say("b")
        eventually(lambda: onlooker.value(COUNT) == 2)
        assert await roles(statuses) == {"2.1": "live"}
    with project(Tally(), TallyTwo()):
        say("c")
        eventually(lambda: onlooker.value(COUNT) == 3)
        assert await roles(statuses) == {"2.1": "live"}


async def test_a_pause_outlasts_a_swap(
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
    await builds.pause("tally")
    with project(Tally()):
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "live"}))

        assert (await by_label(statuses))["1.2"].state == "paused"
        await builds.resume("tally")
        say("b")
        eventually(lambda: onlooker.value(COUNT) == 2)


async def test_pause_and_resume(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        assert (await builds.pause("tally")).state == "paused"
        say("b")
        say("c")
        assert onlooker.value(COUNT) == 1

        await builds.resume("tally")
        eventually(lambda: onlooker.value(COUNT) == 3)


async def test_what_does_not_exist_or_does_not_fit_is_said(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with pytest.raises(ProjectionNotFound, match="no projection 'nothing'"):
        await builds.rebuild("nothing")
    for command in (builds.swap, builds.rollback, builds.pause, builds.retry):
        with pytest.raises(ProjectionNotFound):
            await command("nothing")
    with pytest.raises(ProjectionNotFound):
        await builds.drop("nothing", BuildName(1, 1))
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        with pytest.raises(ProjectionConflict, match="No build of tally is being built"):
            await builds.swap("tally")
        with pytest.raises(ProjectionConflict, match=r"tally has no build 7\.1"):
            await builds.pause("tally", BuildName(7, 1))
        with pytest.raises(ProjectionConflict, match="No build of tally has failed"):
            await builds.retry("tally")
        await builds.pause("tally")
        for begin in (builds.rebuild, builds.verify):
            with pytest.raises(ProjectionConflict, match=r"live build 1\.1 of tally is paused; resume it first"):
                await begin("tally")


async def test_a_build_that_is_dropped_in_the_middle_of_a_page_just_ends(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with project(Tally()):
        say(*["a"] * 20)
        eventually(onlooker.caught_up)
        for _ in range(3):
            begun = await builds.rebuild("tally")
            wanted = BuildName(begun.version, begun.build)
            try:
                await builds.drop("tally", wanted)
            except ProjectionConflict:  # it was quicker, and is what is read
                await builds.rollback("tally")
                await builds.drop("tally", wanted)
        say("b")
        eventually(lambda: onlooker.value(COUNT) == 21)
        assert await roles(statuses) == {"1.1": "live"}

    assert "projection.failed" not in capsys.readouterr().out


async def test_a_build_that_follows_a_dropped_one_is_not_taken_for_it(
    migrated: ConnectionInfo,
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has the same number and the same place, and no tables yet: a fold would find those that are read."""
    with project(Tally()):
        say("a", "a")
        eventually(onlooker.caught_up)
    await builds.rebuild("tally")
    await builds.pause("tally", BuildName(1, 2))
    place = onlooker.value("SELECT place FROM projection_checkpoints WHERE build = 2")
    with project(Tally()):
        eventually(lambda: onlooker.value("SELECT to_regclass(%s) IS NOT NULL", f'"{place}".tally_v1_seen'))
        with create_engine(migrated.sqlalchemy_url, poolclass=NullPool).begin() as connection:
            drop(connection, "tally", BuildName(1, 2))
            assert begin_build(connection, "tally", "building") == BuildName(1, 2)
        await eventually_async(lambda: stand_as(statuses, {"1.1": "retired", "1.2": "live"}))

        assert onlooker.rows("SELECT count FROM tally_v1_counts") == [(2,)]
        assert onlooker.value(COUNT) == 2
    assert "projection.failed" not in capsys.readouterr().out
