"""Makes the tables of a build as its projection declares them, in the build's place."""

from sqlalchemy import Connection, MetaData

from send2llm.application.projections import Projection
from send2llm.infrastructure.projections.builds import take_turn
from send2llm.infrastructure.projections.checkpoints import Build, BuildKey, builds_of, checkpoints, is_build
from send2llm.infrastructure.projections.views import create_views, has_views


def create_tables(connection: Connection, projection: Projection, key: BuildKey) -> None:
    """Make the tables that are missing, and the views if nothing has led to the live build yet.

    A copy of the live build's tables would have its sequences, and none of its foreign keys.
    """
    if key.place is None:
        projection.tables.create_all(connection)
    else:
        _create_in(connection, key.place, projection.tables)
        names = [table.name for table in projection.tables.sorted_tables]
        others = checkpoints.c.tables != names  # most runners begin with what is there, and hold no row
        connection.execute(checkpoints.update().where(is_build(key), others).values(tables=names))
    if _live_without_views(connection, key):
        take_turn(connection, key.name)
        # Looked at once more: a swap that was committed between two looks would be undone.
        live = _live_without_views(connection, key)
        if live:
            create_views(connection, live)


def _live_without_views(connection: Connection, key: BuildKey) -> Build | None:
    """The build, if it is the one that is read, and the views do not lead to it."""
    for build in builds_of(connection, key.name):
        if build.key == key and build.role == "live" and not has_views(connection, build):
            return build
    return None


def _create_in(connection: Connection, place: str, tables: MetaData) -> None:
    """The place has to be said: a table of the same name in the usual one would pass for the one that is missing."""
    before = connection.get_execution_options().get("schema_translate_map")
    connection.execution_options(schema_translate_map={None: place})
    try:
        tables.create_all(connection)
    finally:
        connection.execution_options(schema_translate_map=before)
