"""A projection that nobody runs any more leaves nothing behind."""

from collections.abc import Callable

import pytest
from onlooker import Onlooker, Project
from psycopg_pool import AsyncConnectionPool
from tally_projection import Tally

from send2llm.domain.errors import ProjectionConflict, ProjectionNotFound
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.testing.eventually import eventually

LEFT = "SELECT relname FROM pg_class WHERE relname LIKE %s"
LIVE = "SELECT build FROM projection_checkpoints WHERE role = 'live'"


async def test_it_goes_with_builds_tables_and_views_when_nobody_runs_it(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    pool: AsyncConnectionPool,
    codec: EventCodec,
    migrated: ConnectionInfo,
) -> None:
    statuses = PostgresProjections(pool, codec)
    builds = PostgresProjectionBuilds(migrated, statuses, indispensable=["history"])
    with project(Tally()):
        say("a")
        eventually(onlooker.caught_up)
        await builds.rebuild("tally")
        eventually(lambda: onlooker.value(LIVE) == 2)
        with pytest.raises(ProjectionConflict, match=r"running process works on tally \(1\.1, 1\.2\)"):
            await builds.remove("tally")
    onlooker.connection.execute("CREATE VIEW my_dashboard AS SELECT * FROM tally_counts")
    with pytest.raises(ProjectionConflict, match="view my_dashboard depends on view tally_counts"):
        await builds.remove("tally")
    onlooker.connection.execute("DROP VIEW my_dashboard")
    onlooker.connection.execute("INSERT INTO projection_skips VALUES ('tally', 1, 1, 'no', 'ops')")

    await builds.remove("tally")

    assert await statuses.all() == []
    assert onlooker.rows(LEFT, "tally%") == []
    assert onlooker.value("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'build_%%'") == 0
    assert onlooker.value("SELECT count(*) FROM projection_skips") == 0
    with pytest.raises(ProjectionNotFound):
        await builds.remove("tally")
    with pytest.raises(ProjectionConflict, match="service itself reads history"):
        await builds.remove("history")
    with project(Tally()):
        eventually(onlooker.caught_up)
        eventually(lambda: onlooker.value("SELECT sum(count) FROM tally_counts") == 1)
