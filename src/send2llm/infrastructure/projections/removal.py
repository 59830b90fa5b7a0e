"""A projection that nobody runs any more is removed, with all that it has. One transaction of the caller's."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.builds import known_builds, remove_tables, take_turn
from send2llm.infrastructure.projections.checkpoints import Build, checkpoints, qualified, skips, usual_place
from send2llm.infrastructure.projections.dependants import dependants_named
from send2llm.infrastructure.projections.lease import nobody_works_on
from send2llm.infrastructure.projections.view_sources import sources_of
from send2llm.infrastructure.projections.views import views_of


def remove_projection(connection: Connection, name: str) -> None:
    """Remove all builds, tables and views, and what is known of events that were left out.

    Raises ``ProjectionConflict`` when somebody works on it, or has made something upon it.
    """
    take_turn(connection, name)
    builds = known_builds(connection, name)
    worked_on = [build.label for build in builds if not nobody_works_on(connection, build.key)]
    if worked_on:
        raise ProjectionConflict(
            f"A running process works on {name} ({', '.join(worked_on)}); take it out of the configuration, restart "
            "the service, and try again."
        )
    _remove_views(connection, builds)
    for build in builds:
        remove_tables(connection, build)
    for table in (checkpoints, skips):
        connection.execute(table.delete().where(table.c.name == name))


def _remove_views(connection: Connection, builds: Sequence[Build]) -> None:
    usual = usual_place(connection)
    own = {(build.place or usual, table) for build in builds for table in build.tables}
    with dependants_named():
        for view in sorted({view for build in builds for view in views_of(build)}):
            found = sources_of(connection, view)
            if found and own.issuperset(found):  # else it is somebody else's
                connection.execute(text(f"DROP VIEW {qualified(usual, view)}"))
