"""Builds: a projection is built anew beside the one that is read, and takes its place; nothing stands still for it."""

import threading

import psycopg
import pytest
from onlooker import Onlooker
from psycopg.errors import UndefinedColumn
from sqlalchemy import Engine
from stage import Builds, Stage, label
from tally_projection import COUNT, MESSAGES, Tally, TallyTwo

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict, ProjectionNotFound
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.builds import begin_build, drop
from send2llm.infrastructure.projections.checkpoints import BuildKey
from send2llm.infrastructure.projections.swaps import rollback
from send2llm.infrastructure.projections.table_creation import create_tables
from send2llm.infrastructure.projections.view_sources import sources_of
from send2llm.testing.eventually import eventually


async def test_a_projection_is_read_under_a_name_without_a_version(stage: Stage) -> None:
    with stage.counting("a", "b"):
        assert stage.value(COUNT) == 2


async def test_a_rebuild_takes_the_place_of_the_live_build_while_events_come(
    stage: Stage, builds: Builds, migrated: ConnectionInfo
) -> None:
    with stage.counting(*["before"] * 50):
        stop = threading.Event()

        def keep_saying() -> None:
            """As fast as the live build takes it in: nobody catches up with who can write faster than that."""
            with psycopg.connect(migrated.dsn, autocommit=True) as connection:
                look = Onlooker(connection)
                while not stop.is_set():
                    stage.say("meanwhile")
                    eventually(lambda: stop.is_set() or look.caught_up())

        writer = threading.Thread(target=keep_saying)
        writer.start()
        try:
            begun = await builds.rebuild("tally")
            assert (begun.version, begun.build, begun.role) == (1, 2, "building")
            await builds.come_to({"1.1": "retired", "1.2": "live"})
        finally:
            stop.set()
            writer.join()
        stored = stage.value(f"SELECT count(*) FROM stored_events WHERE topic = '{MESSAGES}'")
        eventually(lambda: stage.value(COUNT) == stored)
        # What was read before is kept up to date, so that it can be read again.
        eventually(lambda: stage.value("SELECT sum(count) FROM tally_v1_counts") == stored)
        place = stage.checkpoint("place", "1.2")
        assert stage.value(f'SELECT sum(count) FROM "{place}".tally_v1_counts') == stored


async def test_the_last_few_events_are_taken_in_with_the_place(stage: Stage, builds: Builds) -> None:
    stage.counted("a", "b")
    await builds.rebuild("tally")
    await builds.pause("tally", BuildName(1, 2))
    with stage.project(Tally()):
        eventually(stage.lease_holder)
        with stage.turn() as waiting:
            await builds.resume("tally", BuildName(1, 2))
            eventually(waiting)
            stage.say("c", "d", "e")
            eventually(lambda: stage.position() == 5)
            assert stage.position(build="1.2") == 2
        await builds.come_to({"1.1": "retired", "1.2": "live"})

        assert stage.value(COUNT) == 5


async def test_rollback_and_drop(stage: Stage, builds: Builds) -> None:
    with stage.counting("a"):
        await builds.rebuild("tally")
        await builds.come_to({"1.1": "retired", "1.2": "live"})

        assert (await builds.rollback("tally")).build == 1
        assert await builds.roles() == {"1.1": "live", "1.2": "retired"}
        with pytest.raises(ProjectionConflict, match=r"1\.1 of tally is what is read"):
            await builds.drop("tally", BuildName(1, 1))
        place = stage.checkpoint("place", "1.2")
        await builds.drop("tally", BuildName(1, 2))

        assert await builds.roles() == {"1.1": "live"}
        assert stage.value("SELECT to_regnamespace(%s)", place) is None
        stage.say("b")
        eventually(lambda: stage.value(COUNT) == 2)
        with pytest.raises(ProjectionConflict, match="no earlier build"):
            await builds.rollback("tally")


async def test_the_next_version_is_built_beside_and_swapped_in(stage: Stage, builds: Builds) -> None:
    stage.counted(*["a"] * 30)
    with stage.project(Tally(), TallyTwo()):
        await builds.come_to({"1.1": "retired", "2.1": "live"})
        assert stage.value("SELECT max(length) FROM tally_seen") == 1
        assert stage.value(COUNT) == 30

        await builds.rollback("tally")
        with pytest.raises(UndefinedColumn, match="length"):
            stage.value("SELECT max(length) FROM tally_seen")
        assert stage.value(COUNT) == 30


async def test_a_rebuild_that_a_newer_version_has_overtaken_does_not_take_its_place(
    stage: Stage, builds: Builds
) -> None:
    stage.counted(*["a"] * 30)
    await builds.rebuild("tally")
    await builds.pause("tally", BuildName(1, 2))
    with stage.project(Tally(), TallyTwo()):
        await builds.come_to({"1.1": "retired", "1.2": "building", "2.1": "live"})
        await builds.resume("tally", BuildName(1, 2))
        await builds.come_to({"1.1": "retired", "1.2": "retired", "2.1": "live"})
        assert stage.value("SELECT max(length) FROM tally_seen") == 1

        await builds.rollback("tally")
        assert stage.value(COUNT) == 30


async def test_rollback_goes_to_what_was_read_last_not_to_what_moved_last(stage: Stage, builds: Builds) -> None:
    with stage.counting("a"):
        await builds.rebuild("tally")
        await builds.come_to({"1.1": "retired", "1.2": "live"})
    with stage.project(Tally(), TallyTwo()):
        await builds.come_to({"1.1": "retired", "1.2": "retired", "2.1": "live"})
    # The first build is the last one that somebody has worked on.
    stage.execute("UPDATE projection_checkpoints SET updated_at = now() WHERE version = 1 AND build = 1")

    assert label(await builds.rollback("tally")) == "1.2"
    assert label(await builds.rollback("tally")) == "2.1"


async def test_an_old_version_that_was_dropped_does_not_come_back(stage: Stage, builds: Builds) -> None:
    stage.counted("a")
    with stage.project(Tally(), TallyTwo()):
        await builds.come_to({"1.1": "retired", "2.1": "live"})
        await builds.drop("tally", BuildName(1, 1))
        stage.say("b")
        eventually(lambda: stage.value(COUNT) == 2)
        assert await builds.roles() == {"2.1": "live"}
    with stage.project(Tally(), TallyTwo()):
        stage.say("c")
        eventually(lambda: stage.value(COUNT) == 3)
        assert await builds.roles() == {"2.1": "live"}


async def test_a_runner_that_begins_while_builds_are_swapped_leaves_the_views_alone(
    stage: Stage, builds: Builds, engine: Engine
) -> None:
    with stage.counting("a"):
        await builds.rebuild("tally")
        await builds.come_to({"1.1": "retired", "1.2": "live"})
        await builds.rollback("tally")
    stage.execute("DROP VIEW tally_counts, tally_seen")

    def begin() -> None:
        with engine.begin() as connection:
            create_tables(connection, Tally(), BuildKey("tally", 1))

    beginning = threading.Thread(target=begin)
    with engine.begin() as connection:
        rollback(connection, "tally")
        beginning.start()
        eventually(lambda: stage.somebody_waits("advisory"))
    beginning.join()

    assert await builds.live() == "1.2"
    with engine.begin() as connection:
        assert sources_of(connection, "tally_counts") == {(stage.checkpoint("place", "1.2"), "tally_v1_counts")}


async def test_a_pause_outlasts_a_swap(stage: Stage, builds: Builds) -> None:
    stage.counted("a")
    await builds.rebuild("tally")
    await builds.pause("tally")
    with stage.project(Tally()):
        await builds.come_to({"1.1": "retired", "1.2": "live"})

        assert (await builds.status("1.2")).state == "paused"
        await builds.resume("tally")
        stage.say("b")
        eventually(lambda: stage.value(COUNT) == 2)


async def test_pause_and_resume(stage: Stage, builds: Builds) -> None:
    with stage.counting("a"):
        assert (await builds.pause("tally")).state == "paused"
        stage.say("b")
        stage.say("c")
        assert stage.value(COUNT) == 1

        await builds.resume("tally")
        eventually(lambda: stage.value(COUNT) == 3)


async def test_what_does_not_exist_or_does_not_fit_is_said(stage: Stage, builds: Builds) -> None:
    with pytest.raises(ProjectionNotFound, match="no projection 'nothing'"):
        await builds.rebuild("nothing")
    for command in (builds.swap, builds.rollback, builds.pause, builds.retry):
        with pytest.raises(ProjectionNotFound):
            await command("nothing")
    with pytest.raises(ProjectionNotFound):
        await builds.drop("nothing", BuildName(1, 1))
    with stage.counting("a"):
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
    stage: Stage, builds: Builds, capsys: pytest.CaptureFixture[str]
) -> None:
    with stage.counting(*["a"] * 20):
        for _ in range(3):
            begun = await builds.rebuild("tally")
            wanted = BuildName(begun.version, begun.build)
            try:
                await builds.drop("tally", wanted)
            except ProjectionConflict:  # it was quicker, and is what is read
                await builds.rollback("tally")
                await builds.drop("tally", wanted)
        stage.say("b")
        eventually(lambda: stage.value(COUNT) == 21)
        assert await builds.roles() == {"1.1": "live"}

    assert "projection.failed" not in capsys.readouterr().out


async def test_a_build_that_follows_a_dropped_one_is_not_taken_for_it(
    stage: Stage, builds: Builds, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the same number and the same place, and no tables yet: a fold would find those that are read."""
    stage.counted("a", "a")
    await builds.rebuild("tally")
    await builds.pause("tally", BuildName(1, 2))
    place = stage.checkpoint("place", "1.2")
    with stage.project(Tally()):
        eventually(lambda: stage.value("SELECT to_regclass(%s) IS NOT NULL", f'"{place}".tally_v1_seen'))
        with engine.begin() as connection:
            drop(connection, "tally", BuildName(1, 2))
            assert begin_build(connection, "tally", "building") == BuildName(1, 2)
        await builds.come_to({"1.1": "retired", "1.2": "live"})

        assert stage.rows("SELECT count FROM tally_v1_counts") == [(2,)]
        assert stage.value(COUNT) == 2
    assert "projection.failed" not in capsys.readouterr().out
