"""Views under lasting names belong to others, too: dashboards read them, and make something upon them."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from onlooker import Onlooker, Project
from tally_projection import Tally, TallyTwo

from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.testing.eventually import eventually

LIVE = "SELECT version || '.' || build FROM projection_checkpoints WHERE role = 'live'"
MAY_READ = "SELECT has_table_privilege(%s, 'tally_seen', 'SELECT')"


@pytest.fixture
def reader(onlooker: Onlooker) -> Iterator[str]:
    name = f"reader_{uuid4().hex}"
    onlooker.connection.execute(f"CREATE ROLE {name}")
    yield name
    onlooker.connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_a_rebuild_keeps_rights_and_what_others_made_upon_the_view(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds, reader: str
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        onlooker.connection.execute(f"GRANT SELECT ON tally_seen TO {reader}")
        onlooker.connection.execute("CREATE VIEW my_dashboard AS SELECT sum(count) AS total FROM tally_counts")
        await builds.rebuild("tally")
        eventually(lambda: onlooker.value(LIVE) == "1.2")
        say("b")
        eventually(lambda: onlooker.value("SELECT total FROM my_dashboard") == 2)
        await builds.rollback("tally")

        assert onlooker.value(MAY_READ, reader)
        assert onlooker.value("SELECT total FROM my_dashboard") == 2


async def test_rights_are_kept_by_versions_with_other_columns(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds, reader: str
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
    with project(Tally(), TallyTwo()):
        eventually(lambda: onlooker.value(LIVE) == "2.1")
        onlooker.connection.execute(f"GRANT SELECT ON tally_seen TO {reader} WITH GRANT OPTION")
        onlooker.connection.execute(f"GRANT UPDATE (position), UPDATE (length) ON tally_seen TO {reader}")
        await builds.rollback("tally")

        assert onlooker.value(LIVE) == "1.1"
        assert onlooker.value("SELECT has_table_privilege(%s, 'tally_seen', 'SELECT WITH GRANT OPTION')", reader)
        assert onlooker.value("SELECT has_column_privilege(%s, 'tally_seen', 'position', 'UPDATE')", reader)
        assert not onlooker.value("SELECT has_table_privilege(%s, 'tally_seen', 'DELETE')", reader)


OPTIONS = "SELECT reloptions FROM pg_class WHERE oid = %s::regclass"


async def test_options_of_a_view_are_kept_by_rebuilds_and_by_versions_with_other_columns(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        onlooker.connection.execute("ALTER VIEW tally_counts SET (security_barrier, check_option = local)")
        onlooker.connection.execute("ALTER VIEW tally_seen SET (security_barrier = true)")
        await builds.rebuild("tally")
        eventually(lambda: onlooker.value(LIVE) == "1.2")
        assert onlooker.value(OPTIONS, "tally_counts") == ["security_barrier=true", "check_option=local"]
    with project(Tally(), TallyTwo()):
        eventually(lambda: onlooker.value(LIVE) == "2.1")
        await builds.rollback("tally")

        assert onlooker.value(OPTIONS, "tally_counts") == ["security_barrier=true", "check_option=local"]
        assert onlooker.value(OPTIONS, "tally_seen") == ["security_barrier=true"]


async def test_what_others_made_upon_a_view_that_has_to_go_is_named(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
    with project(Tally(), TallyTwo()):
        eventually(lambda: onlooker.value(LIVE) == "2.1")
        onlooker.connection.execute("CREATE VIEW my_dashboard AS SELECT max(length) FROM tally_seen")
        with pytest.raises(ProjectionConflict, match=r"view my_dashboard depends on view tally_seen"):
            await builds.rollback("tally")
        assert onlooker.value(LIVE) == "2.1"

        onlooker.connection.execute("DROP VIEW my_dashboard")
        await builds.rollback("tally")
        onlooker.connection.execute("CREATE VIEW my_dashboard AS SELECT max(position) FROM tally_seen")
        # A dependent view stands in nobody's way where only columns are added.
        await builds.rollback("tally")
        assert onlooker.value(LIVE) == "2.1"


async def test_a_build_that_cannot_take_its_place_because_of_others_fails_and_names_them(
    project: Project, say: Callable[..., None], onlooker: Onlooker, builds: PostgresProjectionBuilds
) -> None:
    class TallyThree(TallyTwo):
        version = 3
        tables = Tally.tables.__class__()
        only = TallyTwo.seen.to_metadata(tables, name="tally_v3_seen")

        def fold(self, events: object, connection: object) -> None:
            """Nothing: it is about tables."""

    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        onlooker.connection.execute("CREATE VIEW my_dashboard AS SELECT sum(count) FROM tally_counts")
    with project(TallyThree()):
        reason = "SELECT reason FROM projection_checkpoints WHERE version = 3"
        eventually(lambda: "view my_dashboard depends on view tally_counts" in str(onlooker.value(reason)))
        onlooker.connection.execute("DROP VIEW my_dashboard")
        await builds.retry("tally")
        eventually(lambda: onlooker.value(LIVE) == "3.1")


async def test_who_reads_for_long_is_named_and_holds_up_no_other_reader(
    migrated: ConnectionInfo,
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    builds: PostgresProjectionBuilds,
) -> None:
    with project(Tally()), psycopg.connect(migrated.dsn) as slow_reader:
        say("a")
        eventually(onlooker.caught_up)
        slow_reader.execute("SELECT * FROM tally_counts")
        onlooker.connection.execute("SET statement_timeout = '3s'")
        begun = await builds.rebuild("tally")

        def is_told() -> bool:
            assert onlooker.value("SELECT sum(count) FROM tally_counts") == 1
            told = onlooker.value("SELECT waits_for FROM projection_checkpoints WHERE build = 2")
            return f"sessions {slow_reader.info.backend_pid} read tally_counts, tally_seen" in str(told)

        assert (begun.role, begun.waits_for) == ("building", None)
        eventually(is_told)
        with pytest.raises(ProjectionConflict, match="read tally_counts, tally_seen for long"):
            await builds.swap("tally")
        say("b")
        eventually(lambda: onlooker.value("SELECT sum(count) FROM tally_counts") == 2)
        slow_reader.rollback()

        eventually(lambda: onlooker.value(LIVE) == "1.2")
        assert onlooker.value("SELECT count(waits_for) FROM projection_checkpoints") == 0
