"""A projection that nobody runs any more leaves nothing behind."""

from collections.abc import Sequence

import pytest
from sqlalchemy import BigInteger, Column, Connection, Enum, Identity, MetaData, Table, insert
from stage import Builds, Stage
from tally_projection import COUNT, MESSAGES, Tally

from send2llm.domain.errors import ProjectionConflict, ProjectionNotFound
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.soundness import checked
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.projections import RecordedEvent, table_name
from send2llm.testing.eventually import eventually

LEFT = "SELECT relname FROM pg_class WHERE relname LIKE %s"
VIEWS = "SELECT relname FROM pg_class WHERE relkind = 'v' AND relname LIKE 'api%%'"


async def test_it_goes_with_builds_tables_and_views_when_nobody_runs_it(
    stage: Stage, statuses: PostgresProjections, migrated: ConnectionInfo
) -> None:
    builds = Builds(migrated, statuses, indispensable=["history"])
    with stage.counting("a"):
        await builds.rebuild("tally")
        await builds.until("1.2", role="live")
        with pytest.raises(ProjectionConflict, match=r"running process works on tally \(1\.1, 1\.2\)"):
            await builds.remove("tally")
    stage.execute("CREATE VIEW my_dashboard AS SELECT * FROM tally_counts")
    with pytest.raises(ProjectionConflict, match="view my_dashboard depends on view tally_counts"):
        await builds.remove("tally")
    stage.execute("DROP VIEW my_dashboard")
    stage.execute("INSERT INTO projection_skips VALUES ('tally', 1, 1, 'no', 'ops')")

    await builds.remove("tally")

    assert await statuses.all() == []
    assert stage.rows(LEFT, "tally%") == []
    assert stage.places() == []
    assert stage.value("SELECT count(*) FROM projection_skips") == 0
    with pytest.raises(ProjectionNotFound):
        await builds.remove("tally")
    with pytest.raises(ProjectionConflict, match="service itself reads history"):
        await builds.remove("history")
    with stage.project(Tally()):
        eventually(stage.caught_up)
        eventually(lambda: stage.value(COUNT) == 1)


class Calls:
    """Its name looks as if it had a version in it; its rows are numbered, and of some kind."""

    name = "api_v2_calls"
    topics = frozenset({MESSAGES})

    def __init__(self, version: int) -> None:
        self.version = version
        self.tables = MetaData()
        self.rows = Table(
            table_name(self.name, version, "rows"),
            self.tables,
            Column("position", BigInteger, primary_key=True, autoincrement=False),
            Column("number", BigInteger, Identity()),
            Column("kind", Enum("said", name="kind", native_enum=False), index=True),
        )

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        rows = [{"position": recorded.position, "kind": "said"} for recorded in events]
        connection.execute(insert(self.rows), rows)


async def test_versions_of_what_is_named_like_one_are_read_under_one_name_and_leave_nothing(
    stage: Stage, builds: Builds
) -> None:
    versions = [checked(Calls(version), "here") for version in (1, 2)]
    with stage.project(versions[0]):
        stage.say("a")
        eventually(lambda: stage.caught_up("api_v2_calls"))
        assert stage.rows(VIEWS) == [("api_v2_calls_rows",)]
    with stage.project(*versions):
        await builds.until("2.1", role="live", of="api_v2_calls")
        assert stage.rows(VIEWS) == [("api_v2_calls_rows",)]
        assert stage.rows("SELECT * FROM api_v2_calls_rows") == [(1, 1, "said")]

    await builds.remove("api_v2_calls")

    assert stage.rows(LEFT, "api%") == []
    assert stage.value("SELECT count(*) FROM pg_type WHERE typname = 'kind'") == 0
