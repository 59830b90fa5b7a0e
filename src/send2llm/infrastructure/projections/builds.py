"""The life of builds: begun, paused, dropped. Each step is one transaction of the caller's."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, text
from sqlalchemy.schema import CreateSchema, DropSchema

from send2llm.application.projections import BuildName, BuildRole, Projection
from send2llm.domain.errors import DatabaseRightMissing, ProjectionConflict, ProjectionNotFound
from send2llm.infrastructure.postgres.rights import MAKE_SCHEMAS
from send2llm.infrastructure.projections.checkpoints import (
    WORKED_ON,
    Build,
    BuildKey,
    builds_of,
    checkpoints,
    is_build,
    qualified,
    quoted,
    usual_place,
)
from send2llm.infrastructure.projections.dependants import dependants_named

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('send2llm:builds:' || :name, 0))")
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '5s'")
_MAKE_SCHEMAS = text(MAKE_SCHEMAS)
_LONGEST_NAME = 40  # characters of a projection's name in that of a schema


def ensure_build(connection: Connection, projection: Projection) -> None:
    """The first build of a version: live if the projection is new, else to be swapped in when it has caught up.

    A version before one that there is already is not begun: somebody dropped it.
    """
    connection.execute(_LOCK, {"name": projection.name})
    known = builds_of(connection, projection.name)
    if any(build.version >= projection.version for build in known):
        return
    role: BuildRole = "building" if any(build.role == "live" for build in known) else "live"
    names = [table.name for table in projection.tables.sorted_tables]
    _insert(connection, BuildKey(projection.name, projection.version), role, names)


def begin_build(connection: Connection, name: str, role: BuildRole) -> BuildName:
    """Another build of the live version, in a place of its own, in which its runner makes the tables."""
    take_turn(connection, name)
    builds = builds_of(connection, name)
    live = live_of(builds, name)
    for other in builds:
        if other.role == role:
            raise ProjectionConflict(f"The build {other.label} of {name} is {role} already; wait for it, or drop it.")
    if live.paused or (live.reason and role == "verifying"):
        raise ProjectionConflict(stands_still(live))
    _refuse_without_schemas(connection)
    number = 1 + max(build.build for build in builds if build.version == live.version)
    place = f"build_{name[:_LONGEST_NAME]}_v{live.version}_b{number}"
    connection.execute(CreateSchema(place))
    _insert(connection, BuildKey(name, live.version, number, place), role, live.tables)
    return BuildName(live.version, number)


def _refuse_without_schemas(connection: Connection) -> None:
    grant = connection.execute(_MAKE_SCHEMAS).scalar_one_or_none()
    if grant is not None:
        raise DatabaseRightMissing(
            "a build beside the live one is made in a schema of its own", f"Let the database's owner run: {grant}"
        )


def drop(connection: Connection, name: str, wanted: BuildName) -> None:
    """Remove a build with its tables."""
    take_turn(connection, name)
    chosen = choose(known_builds(connection, name), name, wanted, "exists")
    if chosen.role == "live":
        raise ProjectionConflict(f"The build {wanted} of {name} is what is read; swap or roll back first.")
    remove_tables(connection, chosen)
    connection.execute(checkpoints.delete().where(is_build(chosen.key)))


def remove_tables(connection: Connection, build: Build) -> None:
    """Remove the tables of a build; raises ``OthersDepend`` if somebody has made something upon them."""
    place = build.place or usual_place(connection)
    gone = ", ".join(qualified(place, table) for table in build.tables)
    with dependants_named():
        if gone and connection.execute(select(func.to_regnamespace(quoted(place)))).scalar_one() is not None:
            connection.execute(text(f"DROP TABLE IF EXISTS {gone}"))
    if build.place is not None:
        connection.execute(DropSchema(build.place, cascade=True, if_exists=True))


def set_paused(connection: Connection, name: str, wanted: BuildName | None, *, paused: bool) -> BuildName:
    """Let a build stand still, or go on; raises ``ProjectionConflict`` for one that was compared."""
    builds = known_builds(connection, name)
    chosen = live_of(builds, name) if wanted is None else choose(builds, name, wanted, "exists")
    if chosen.role not in WORKED_ON:
        raise ProjectionConflict(
            f"The build {chosen.label} of {name} was compared, and nothing is done for it any more; all that is left "
            "is to drop it."
        )
    connection.execute(checkpoints.update().where(is_build(chosen.key)).values(paused=paused))
    return BuildName(chosen.version, chosen.build)


def take_turn(connection: Connection, name: str) -> None:
    """One change at a time; and it waits a while, not for ever, for those who read what it moves."""
    connection.execute(_LOCK, {"name": name})
    connection.execute(_LOCK_TIMEOUT)


def _insert(connection: Connection, key: BuildKey, role: BuildRole, tables: Sequence[str]) -> None:
    connection.execute(
        checkpoints.insert().values(
            name=key.name,
            version=key.version,
            build=key.build,
            place=key.place,
            role=role,
            tables=list(tables),
            position=0,
            rate=0.0,
            updated_at=func.now(),
        )
    )


def stands_still(live: Build) -> str:
    """Why nothing can come to the position of a live build, and what to do about it."""
    if live.paused:
        return f"The live build {live.label} of {live.name} is paused; resume it first."
    return f"The live build {live.label} of {live.name} has failed; mend it, and retry or skip: {live.reason}"


def known_builds(connection: Connection, name: str) -> Sequence[Build]:
    """Its builds, locked; there is at least one."""
    builds = builds_of(connection, name, lock=True)
    if not builds:
        raise _unknown(name)
    return builds


def _unknown(name: str) -> ProjectionNotFound:
    return ProjectionNotFound(f"There is no projection {name!r}; `send2llm projections` shows those that there are.")


def live_of(builds: Sequence[Build], name: str) -> Build:
    """The one that is read; raises ``ProjectionNotFound`` when there is none."""
    for build in builds:
        if build.role == "live":
            return build
    raise _unknown(name)


def choose(builds: Sequence[Build], name: str, wanted: BuildName | None, what: str) -> Build:
    """The one that is wanted, or the only one; raises ``ProjectionConflict`` when there is none, or more than one."""
    found = [build for build in builds if wanted is None or wanted == BuildName(build.version, build.build)]
    if len(found) == 1:
        return found[0]
    if found:
        labels = ", ".join(build.label for build in found)
        raise ProjectionConflict(f"Name one of the builds of {name}, as --build or ?build=: {labels}.")
    raise ProjectionConflict(f"No build of {name} {what}." if wanted is None else f"{name} has no build {wanted}.")
