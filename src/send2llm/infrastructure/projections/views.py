"""Views under lasting names, through which the tables of the live build are read.

``history_conversations`` is a view of ``history_v1_conversations``, wherever the build that is read has its tables. So
reports and dashboards name no version, and a swap is one transaction.
"""

from functools import cache

from psycopg.errors import InvalidTableDefinition
from sqlalchemy import Column, Connection, MetaData, Table, text
from sqlalchemy.exc import ProgrammingError

from send2llm.application.projections import Projection, table_name, view_name
from send2llm.infrastructure.projections.checkpoints import Build, qualified, usual_place
from send2llm.infrastructure.projections.dependants import dependants_named
from send2llm.infrastructure.projections.view_rights import give_rights, options_of, rights_to
from send2llm.infrastructure.projections.view_sources import refuse_views_of_others, sources_of


def create_views(connection: Connection, build: Build, *, instead_of: Build | None = None) -> None:
    """Let the views lead to the tables of a build, ``instead_of`` another one's.

    Raises ``ProjectionViewTaken`` when something that is not this projection's has the name of one, and
    ``OthersDepend`` when somebody has made something upon one that has to go.
    """
    usual = usual_place(connection)
    wanted = views_of(build)
    gone = views_of(instead_of).keys() - wanted.keys() if instead_of is not None else set()
    refuse_views_of_others(connection, build.name, gone | wanted.keys())
    with dependants_named():
        for view in sorted(gone):
            connection.execute(text(f"DROP VIEW IF EXISTS {qualified(usual, view)}"))
        for view, table in wanted.items():
            _lead(connection, qualified(usual, view), qualified(build.place or usual, table))


def _lead(connection: Connection, view: str, table: str) -> None:
    """Let a view lead to a table, with the options that it has.

    One with other columns is made anew, and given the rights of the one before.
    """
    options = options_of(connection, view)
    create = text(f"CREATE OR REPLACE VIEW {view}{options} AS SELECT * FROM {table}")  # noqa: S608 - names, quoted
    try:
        with connection.begin_nested():
            connection.execute(create)
    except ProgrammingError as error:
        if not isinstance(error.orig, InvalidTableDefinition):
            raise
        rights = rights_to(connection, view)
        connection.execute(text(f"DROP VIEW {view}"))
        connection.execute(create)
        give_rights(connection, view, rights)


def create_temporary_views(connection: Connection, projection: Projection) -> None:
    """Let the views, for this session, lead to temporary tables of a projection."""
    quote = connection.dialect.identifier_preparer.quote
    for table in projection.tables.sorted_tables:
        view = name_of_view(projection.name, projection.version, table.name)
        connection.execute(text(f"CREATE TEMPORARY VIEW {quote(view)} AS SELECT * FROM {quote(table.name)}"))  # noqa: S608 - names of ours, quoted


def has_views(connection: Connection, build: Build) -> bool:
    """Whether there are such views, and lead to the tables of this build."""
    place = build.place or usual_place(connection)
    return all(sources_of(connection, view) == {(place, table)} for view, table in views_of(build).items())


def views_of(build: Build) -> dict[str, str]:
    """The names of the views that lead to a build's tables if it is read, each with its table."""
    return {name_of_view(build.name, build.version, table): table for table in build.tables}


@cache
def as_read(projection: str, version: int, table: Table) -> Table:
    """The view of a projection's ``table``, to select from."""
    columns = (Column(column.name, column.type) for column in table.columns)
    return Table(name_of_view(projection, version, table.name), MetaData(), *columns)


def name_of_view(projection: str, version: int, table: str) -> str:
    """The view's name for a table: without the version, where the table's name has it as ``table_name`` makes it."""
    versioned = table_name(projection, version, "")
    return view_name(projection, table.removeprefix(versioned)) if table.startswith(versioned) else f"{table}_live"
