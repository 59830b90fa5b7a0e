"""The service's role in the database may have few rights: what it lacks is said, with the statement that gives it."""

from collections.abc import Callable

import pytest
from onlooker import QUICK, Onlooker
from tally_projection import COUNT, Tally

from send2llm.domain.errors import DatabaseRightMissing
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.testing.eventually import eventually


@pytest.mark.parametrize("command", ["rebuild", "verify"])
async def test_a_build_needs_the_right_to_make_schemas(
    poor_role: ConnectionInfo,
    codec: EventCodec,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    command: str,
) -> None:
    builds = PostgresProjectionBuilds(poor_role, statuses)
    with Projector(poor_role, [Tally()], codec, QUICK).running():
        say("a")
        eventually(onlooker.caught_up)
        with pytest.raises(DatabaseRightMissing) as refused:
            await getattr(builds, command)("tally")
        grant = str(refused.value).partition("Let the database's owner run: ")[2]
        assert grant == f"GRANT CREATE ON DATABASE {poor_role.dbname} TO {poor_role.user}"
        onlooker.connection.execute(grant.encode())

        begun = await getattr(builds, command)("tally")
        done = "SELECT role IN ('live', 'verified') FROM projection_checkpoints WHERE build = %s"
        eventually(lambda: onlooker.value(done, begun.build))
        assert onlooker.value(COUNT) == 1


async def test_what_belongs_to_another_role_is_named(
    poor_role: ConnectionInfo,
    codec: EventCodec,
    migrated: ConnectionInfo,
    say: Callable[..., None],
    onlooker: Onlooker,
    statuses: PostgresProjections,
    builds: PostgresProjectionBuilds,
) -> None:
    with Projector(migrated, [Tally()], codec, QUICK).running():
        say("a")
        eventually(onlooker.caught_up)
        await builds.rebuild("tally")
        eventually(lambda: onlooker.value("SELECT role = 'live' FROM projection_checkpoints WHERE build = 2"))
    with pytest.raises(DatabaseRightMissing, match=r"must be owner of view tally_counts\. It has to own"):
        await PostgresProjectionBuilds(poor_role, statuses).rollback("tally")
    assert onlooker.value("SELECT role FROM projection_checkpoints WHERE build = 2") == "live"
