"""Which build is read: swapped in, or rolled back to. Each step is one transaction of the caller's."""

from datetime import UTC, datetime

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, func, text
from sqlalchemy.exc import OperationalError

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.builds import choose, known_builds, live_of, take_turn
from send2llm.infrastructure.projections.checkpoints import Build, BuildKey, checkpoints, is_build
from send2llm.infrastructure.projections.views import create_views, views_of

PATIENCE = 1.0
"""Seconds for which a swap that somebody asked for may wait for readers, and later readers for it."""

_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :timeout, true)")
_READERS = text(
    "SELECT DISTINCT pid FROM pg_locks JOIN pg_class ON pg_class.oid = relation AND relkind = 'v'"
    " WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND granted AND relname = ANY (CAST(:views AS text[])) AND pid <> pg_backend_pid() ORDER BY pid"
)
_NEVER_READ = datetime.min.replace(tzinfo=UTC)


class ViewsAreRead(ProjectionConflict):
    """Somebody reads them for longer than others should have to wait; another time will do."""


def swap(connection: Connection, name: str, wanted: BuildName | None = None, patience: float = PATIENCE) -> BuildName:
    """Let a build that has caught up be what is read; what was stays as retired.

    ``patience`` is in seconds: who reads the views may hold it up for so long, and then it raises ``ViewsAreRead``.
    """
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
    return _exchange(connection, live, chosen, patience)


def rollback(connection: Connection, name: str) -> BuildName:
    """Let the build be read that was read before; what is read now stays as retired."""
    take_turn(connection, name)
    builds = known_builds(connection, name)
    retired = [build for build in builds if build.role == "retired"]
    if not retired:
        raise ProjectionConflict(f"There is no earlier build of {name} to go back to.")
    before = max(retired, key=lambda build: build.retired_at or _NEVER_READ)
    return _exchange(connection, live_of(builds, name), before, PATIENCE)


def retire_unread(connection: Connection, key: BuildKey) -> None:
    """Let a build that was never read be one that is kept up to date, unless somebody goes back to it."""
    connection.execute(
        checkpoints.update().where(is_build(key)).values(role="retired", updated_at=func.now(), waits_for=None)
    )


def _exchange(connection: Connection, live: Build, following: Build, patience: float) -> BuildName:
    # The clock, not the transaction's beginning: that of who waited for another swap may lie before it.
    gone = {"role": "retired", "retired_at": func.clock_timestamp(), "updated_at": func.now()}
    connection.execute(checkpoints.update().where(is_build(live.key)).values(gone))
    # Who wants what is read to stand still wants that of whatever is read.
    come = {"role": "live", "retired_at": None, "waits_for": None, "paused": live.paused or following.paused}
    connection.execute(checkpoints.update().where(is_build(following.key)).values(come))
    # The views come last: from here on whoever reads them waits until this transaction has ended.
    connection.execute(_LOCK_TIMEOUT, {"timeout": f"{patience * 1000:.0f}ms"})
    try:
        with connection.begin_nested():
            create_views(connection, following, instead_of=live)
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        raise ViewsAreRead(_who_reads(connection, live)) from None
    return BuildName(following.version, following.build)


def _who_reads(connection: Connection, live: Build) -> str:
    views = sorted(views_of(live))
    readers = connection.execute(_READERS, {"views": views}).scalars().all()
    named = f" of the database sessions {', '.join(map(str, readers))}" if readers else ""
    return f"Transactions{named} read {', '.join(views)} for long; nothing can take their place before they have ended."
