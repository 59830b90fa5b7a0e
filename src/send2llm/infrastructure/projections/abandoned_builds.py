"""Builds that nobody needs any more: left alone for a day, and never read."""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import Connection, Engine, func, or_, select

from send2llm.application.projections import BuildRole
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.builds import remove_tables, take_turn
from send2llm.infrastructure.projections.checkpoints import Build, BuildKey, builds_of, checkpoints, is_build
from send2llm.infrastructure.projections.failures import is_passing, reason_of
from send2llm.infrastructure.projections.lease import nobody_works_on

ABANDONED_AFTER = timedelta(days=1)

_COMPARED: Sequence[BuildRole] = ("verified", "different")
_NEVER_READ: Sequence[BuildRole] = ("building", "verifying")

# Who paused a build that is under way wants it to go on some day; one that was compared has nothing to go on with.
_LEFT_ALONE = or_(
    checkpoints.c.role.in_(_COMPARED), checkpoints.c.role.in_(_NEVER_READ) & checkpoints.c.paused.is_(False)
) & (checkpoints.c.updated_at < func.now() - ABANDONED_AFTER)

log = structlog.get_logger(__name__)


def remove_abandoned(engine: Engine) -> Sequence[Build]:
    """Remove them, each in a transaction of its own; gives those that are gone.

    One that cannot be removed stays, and its status says why.
    """
    with engine.begin() as connection:
        names = connection.execute(select(checkpoints.c.name).where(_LEFT_ALONE).distinct()).scalars()
        found = [build for name in sorted(names) for build in builds_of(connection, name)]
    unread = [build for build in found if build.role in (*_COMPARED, *_NEVER_READ)]
    return [build for build in unread if _is_removed(engine, build)]


def _is_removed(engine: Engine, build: Build) -> bool:
    try:
        with engine.begin() as connection:
            take_turn(connection, build.name)
            if not (_is_left_alone(connection, build.key) and nobody_works_on(connection, build.key)):
                return False
            remove_tables(connection, build)
            connection.execute(checkpoints.delete().where(is_build(build.key)))
    except Exception as error:  # noqa: BLE001 - what stands in the way of one build must not keep the others
        reason = str(error) if isinstance(error, ProjectionConflict) else reason_of(error)
        if is_passing(error):
            log.debug("projection.not_removed", projection=build.name, reason=reason)
        else:
            _tell(engine, build, reason)
        return False
    log.info("projection.abandoned", projection=build.name, version=build.version, build=build.build)
    return True


def _is_left_alone(connection: Connection, key: BuildKey) -> bool:
    wanted = select(checkpoints.c.name).where(is_build(key), _LEFT_ALONE).with_for_update()
    return connection.execute(wanted).one_or_none() is not None


def _tell(engine: Engine, build: Build, reason: str) -> None:
    """Let the status say it, and the log, once for each reason."""
    told = f"Nobody has worked on it for a day, and it cannot be removed: {reason}"
    here = is_build(build.key) & checkpoints.c.waits_for.is_distinct_from(told)
    with engine.begin() as connection:
        is_news = connection.execute(checkpoints.update().where(here).values(waits_for=told)).rowcount
    if is_news:
        log.warning(
            "projection.not_removed", projection=build.name, version=build.version, build=build.build, reason=reason
        )
