"""The service's role in the database may have few rights: what it lacks is said, with the statement that gives it."""

import pytest
from stage import QUICK, Builds, Stage, label
from tally_projection import COUNT, Tally

from send2llm.domain.errors import DatabaseRightMissing
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.testing.eventually import eventually


@pytest.mark.parametrize("command", ["rebuild", "verify"])
async def test_a_build_needs_the_right_to_make_schemas(
    stage: Stage, statuses: PostgresProjections, poor_role: ConnectionInfo, codec: EventCodec, command: str
) -> None:
    builds = Builds(poor_role, statuses)
    with Projector(poor_role, [Tally()], codec, QUICK).running():
        stage.say("a")
        eventually(stage.caught_up)
        with pytest.raises(DatabaseRightMissing) as refused:
            await getattr(builds, command)("tally")
        grant = str(refused.value).partition("Let the database's owner run: ")[2]
        assert grant == f"GRANT CREATE ON DATABASE {poor_role.dbname} TO {poor_role.user}"
        stage.execute(grant)

        begun = await getattr(builds, command)("tally")
        eventually(lambda: stage.checkpoint("role", label(begun)) in ("live", "verified"))
        assert stage.value(COUNT) == 1


async def test_what_belongs_to_another_role_is_named(
    stage: Stage, builds: Builds, statuses: PostgresProjections, poor_role: ConnectionInfo
) -> None:
    with stage.counting("a"):
        await builds.rebuild("tally")
        await builds.until("1.2", role="live")
    with pytest.raises(DatabaseRightMissing, match=r"must be owner of view tally_counts\. It has to own"):
        await Builds(poor_role, statuses).rollback("tally")
    assert stage.checkpoint("role", "1.2") == "live"
