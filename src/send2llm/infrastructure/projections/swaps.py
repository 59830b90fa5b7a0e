"""Which build is read: swapped in, or rolled back to. Each step is one transaction of the caller's."""

from datetime import UTC, datetime

from sqlalchemy import Connection, func

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.builds import choose, known_builds, live_of, take_turn
from send2llm.infrastructure.projections.checkpoints import Build, BuildKey, checkpoints, is_build
from send2llm.infrastructure.projections.views import create_views

_NEVER_READ = datetime.min.replace(tzinfo=UTC)


def swap(connection: Connection, name: str, wanted: BuildName | None = None) -> BuildName:
    """Let a build that has caught up be what is read; what was stays as retired."""
    take_turn(connection, name)
    builds = known_builds(connection, name)
    chosen = choose([build for build in builds if build.role == "building"], name, wanted, "is being built")
    live = live_of(builds, name)
    if chosen.reason is not None:
        raise ProjectionConflict(f"The build {chosen.label} of {name} has failed: {chosen.reason}")
    if chosen.position < live.position:
        raise ProjectionConflict(
            f"The build {chosen.label} of {name} is {live.position - chosen.position} positions behind the live one; "
            "it takes its place by itself when it has caught up."
        )
    return _exchange(connection, live, chosen)


def rollback(connection: Connection, name: str) -> BuildName:
    """Let the build be read that was read before; what is read now stays as retired."""
    take_turn(connection, name)
    builds = known_builds(connection, name)
    retired = [build for build in builds if build.role == "retired"]
    if not retired:
        raise ProjectionConflict(f"There is no earlier build of {name} to go back to.")
    before = max(retired, key=lambda build: build.retired_at or _NEVER_READ)
    return _exchange(connection, live_of(builds, name), before)


def retire_unread(connection: Connection, key: BuildKey) -> None:
    """Let a build that was never read be one that is kept up to date, unless somebody goes back to it."""
    connection.execute(checkpoints.update().where(is_build(key)).values(role="retired", updated_at=func.now()))


def _exchange(connection: Connection, live: Build, following: Build) -> BuildName:
    # The clock, not the transaction's beginning: that of who waited for another swap may lie before it.
    gone = {"role": "retired", "retired_at": func.clock_timestamp(), "updated_at": func.now()}
    connection.execute(checkpoints.update().where(is_build(live.key)).values(gone))
    connection.execute(checkpoints.update().where(is_build(following.key)).values(role="live", retired_at=None))
    create_views(connection, following, instead_of=live)
    return BuildName(following.version, following.build)
