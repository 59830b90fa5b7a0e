"""Views under lasting names, through which the tables of the live build are read.

``history_conversations`` is a view of ``history_v1_conversations``, wherever the build that is read has its tables. So
reports and dashboards name no version, and a swap is one transaction.
"""

import re
from functools import cache

from psycopg.errors import InvalidTableDefinition
from sqlalchemy import Column, Connection, MetaData, Table, text
from sqlalchemy.exc import ProgrammingError

from send2llm.application.projections import Projection, view_name
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
    wanted = {name_of_view(build.name, table): table for table in build.tables}
    before = instead_of.tables if instead_of is not None else ()
    gone = {name_of_view(build.name, table) for table in before} - wanted.keys()
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
        view = name_of_view(projection.name, table.name)
        connection.execute(text(f"CREATE TEMPORARY VIEW {quote(view)} AS SELECT * FROM {quote(table.name)}"))  # noqa: S608 - names of ours, quoted


def has_views(connection: Connection, build: Build) -> bool:
    """Whether there are such views, and lead to the tables of this build."""
    place = build.place or usual_place(connection)
    return all(sources_of(connection, name_of_view(build.name, table)) == {(place, table)} for table in build.tables)


@cache
def as_read(table: Table) -> Table:
    """The view of a projection's ``table``, which is named by ``table_name``, to select from."""
    named = _VERSIONED.fullmatch(table.name)
    if named is None:
        raise ValueError(f"{table.name} is not named by table_name().")
    return Table(
        view_name(named[1], named[2]), MetaData(), *(Column(column.name, column.type) for column in table.columns)
    )


def name_of_view(projection: str, table: str) -> str:
    """The view's name for a table: without the version, where the table's name has one as ``table_name`` makes it."""
    named = _VERSIONED.fullmatch(table)
    return view_name(projection, named[2]) if named and named[1] == projection else f"{table}_live"


_VERSIONED = re.compile(r"(.+?)_v\d+_(.+)")
