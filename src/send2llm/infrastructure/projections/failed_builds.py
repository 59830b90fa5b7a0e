"""What becomes of builds that failed: another try, or the event is left out. Each is a transaction of the caller's."""

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.builds import choose, known_builds
from send2llm.infrastructure.projections.checkpoints import Build, checkpoints, is_build, skips


def retry(connection: Connection, name: str, wanted: BuildName | None) -> BuildName:
    """Take a failure away, every one if no build is named; the runners try again."""
    failed = _failed(connection, name, wanted)
    _forget_failures(connection, failed)
    return BuildName(failed[0].version, failed[0].build)


def skip(connection: Connection, name: str, position: int, actor: str, wanted: BuildName | None) -> BuildName:
    """Leave out the event at which a build failed, in all builds of the version, and record who wanted that."""
    failed = _failed(connection, name, wanted)
    here = [build for build in failed if build.failed_position == position]
    if not here:
        raise ProjectionConflict(_failed_elsewhere(failed[0], position))
    if len({build.version for build in here}) > 1:
        choose(here, name, wanted, "has failed")
    left_out = {"version": here[0].version, "position": position, "reason": here[0].reason, "actor": actor}
    connection.execute(insert(skips).on_conflict_do_nothing(), {"name": name, **left_out})
    known = known_builds(connection, name)
    at_it = [one for one in known if (one.version, one.failed_position) == (here[0].version, position)]
    _forget_failures(connection, at_it)
    return BuildName(here[0].version, here[0].build)


def _failed_elsewhere(build: Build, position: int) -> str:
    if build.failed_position is None:
        return f"The build {build.label} of {build.name} failed at no event that could be left out: {build.reason}"
    return (
        f"The build {build.label} of {build.name} failed at position {build.failed_position}, not at {position}: "
        f"{build.reason}"
    )


def _failed(connection: Connection, name: str, wanted: BuildName | None) -> Sequence[Build]:
    """The builds that failed, or the one that is named; there is at least one, the live one first."""
    builds = known_builds(connection, name)
    failed = [build for build in builds if build.reason is not None and build.role != "different"]
    if wanted is not None or not failed:
        return [choose(failed, name, wanted, "has failed")]
    return sorted(failed, key=lambda build: build.role != "live")


def _forget_failures(connection: Connection, failed: Sequence[Build]) -> None:
    for build in failed:
        connection.execute(checkpoints.update().where(is_build(build.key)).values(reason=None, failed_position=None))
