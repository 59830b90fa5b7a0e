"""Views under lasting names belong to others, too: dashboards read them, and make something upon them."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from stage import Builds, Stage
from tally_projection import COUNT, Tally, TallyTwo

from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.eventually import eventually

MAY_READ = "SELECT has_table_privilege(%s, 'tally_seen', 'SELECT')"


@pytest.fixture
def reader(stage: Stage) -> Iterator[str]:
    name = f"reader_{uuid4().hex}"
    stage.execute(f"CREATE ROLE {name}")
    yield name
    stage.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_a_rebuild_keeps_rights_and_what_others_made_upon_the_view(
    stage: Stage, builds: Builds, reader: str
) -> None:
    with stage.counting("a"):
        stage.execute(f"GRANT SELECT ON tally_seen TO {reader}")
        stage.execute("CREATE VIEW my_dashboard AS SELECT sum(count) AS total FROM tally_counts")
        await builds.rebuild("tally")
        await builds.until("1.2", role="live")
        stage.say("b")
        eventually(lambda: stage.value("SELECT total FROM my_dashboard") == 2)
        await builds.rollback("tally")

        assert stage.value(MAY_READ, reader)
        assert stage.value("SELECT total FROM my_dashboard") == 2


async def test_rights_are_kept_by_versions_with_other_columns(stage: Stage, builds: Builds, reader: str) -> None:
    stage.counted("a")
    with stage.project(Tally(), TallyTwo()):
        await builds.until("2.1", role="live")
        stage.execute(f"GRANT SELECT ON tally_seen TO {reader} WITH GRANT OPTION")
        stage.execute(f"GRANT UPDATE (position), UPDATE (length) ON tally_seen TO {reader}")
        await builds.rollback("tally")

        assert await builds.live() == "1.1"
        assert stage.value("SELECT has_table_privilege(%s, 'tally_seen', 'SELECT WITH GRANT OPTION')", reader)
        assert stage.value("SELECT has_column_privilege(%s, 'tally_seen', 'position', 'UPDATE')", reader)
        assert not stage.value("SELECT has_table_privilege(%s, 'tally_seen', 'DELETE')", reader)


OPTIONS = "SELECT reloptions FROM pg_class WHERE oid = %s::regclass"


async def test_options_of_a_view_are_kept_by_rebuilds_and_by_versions_with_other_columns(
    stage: Stage, builds: Builds
) -> None:
    with stage.counting("a"):
        stage.execute("ALTER VIEW tally_counts SET (security_barrier, check_option = local)")
        stage.execute("ALTER VIEW tally_seen SET (security_barrier = true)")
        await builds.rebuild("tally")
        await builds.until("1.2", role="live")
        assert stage.value(OPTIONS, "tally_counts") == ["security_barrier=true", "check_option=local"]
    with stage.project(Tally(), TallyTwo()):
        await builds.until("2.1", role="live")
        await builds.rollback("tally")

        assert stage.value(OPTIONS, "tally_counts") == ["security_barrier=true", "check_option=local"]
        assert stage.value(OPTIONS, "tally_seen") == ["security_barrier=true"]


async def test_what_others_made_upon_a_view_that_has_to_go_is_named(stage: Stage, builds: Builds) -> None:
    stage.counted("a")
    with stage.project(Tally(), TallyTwo()):
        await builds.until("2.1", role="live")
        stage.execute("CREATE VIEW my_dashboard AS SELECT max(length) FROM tally_seen")
        with pytest.raises(ProjectionConflict, match=r"view my_dashboard depends on view tally_seen"):
            await builds.rollback("tally")
        assert await builds.live() == "2.1"

        stage.execute("DROP VIEW my_dashboard")
        await builds.rollback("tally")
        stage.execute("CREATE VIEW my_dashboard AS SELECT max(position) FROM tally_seen")
        # A dependent view stands in nobody's way where only columns are added.
        await builds.rollback("tally")
        assert await builds.live() == "2.1"


async def test_a_build_that_cannot_take_its_place_because_of_others_fails_and_names_them(
    stage: Stage, builds: Builds
) -> None:
    class TallyThree(TallyTwo):
        version = 3
        tables = Tally.tables.__class__()
        only = TallyTwo.seen.to_metadata(tables, name="tally_v3_seen")

        def fold(self, events: object, connection: object) -> None:
            """Nothing: it is about tables."""

    with stage.counting("a"):
        stage.execute("CREATE VIEW my_dashboard AS SELECT sum(count) FROM tally_counts")
    with stage.project(TallyThree()):
        eventually(lambda: "view my_dashboard depends on view tally_counts" in str(stage.checkpoint("reason", "3.1")))
        stage.execute("DROP VIEW my_dashboard")
        await builds.retry("tally")
        await builds.until("3.1", role="live")


async def test_who_reads_for_long_is_named_and_holds_up_no_other_reader(
    stage: Stage, builds: Builds, migrated: ConnectionInfo
) -> None:
    with stage.counting("a"), psycopg.connect(migrated.dsn) as slow_reader:
        slow_reader.execute("SELECT * FROM tally_counts")
        stage.execute("SET statement_timeout = '3s'")
        begun = await builds.rebuild("tally")

        def is_told() -> bool:
            assert stage.value(COUNT) == 1
            told = stage.checkpoint("waits_for", "1.2")
            return f"sessions {slow_reader.info.backend_pid} read tally_counts, tally_seen" in str(told)

        assert (begun.role, begun.waits_for) == ("building", None)
        eventually(is_told)
        with pytest.raises(ProjectionConflict, match="read tally_counts, tally_seen for long"):
            await builds.swap("tally")
        stage.say("b")
        eventually(lambda: stage.value(COUNT) == 2)
        slow_reader.rollback()

        await builds.until("1.2", role="live")
        assert stage.value("SELECT count(waits_for) FROM projection_checkpoints") == 0
