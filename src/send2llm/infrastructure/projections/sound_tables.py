"""Whether the tables of a projection can be made for each of its versions and builds, and removed with them.

Versions stand side by side in one schema, and what is no table goes with its table or not at all. So whatever has a
name there has the version in it, and nothing is made that would outlive the tables.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import MetaData, PrimaryKeyConstraint, Table, UniqueConstraint, create_mock_engine
from sqlalchemy.dialects.postgresql import CreateDomainType, CreateEnumType, ExcludeConstraint
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

from send2llm.application.projections import Projection, table_name

_LONGEST_NAME = 63  # bytes: PostgreSQL cuts longer names off
_INDEXED = (PrimaryKeyConstraint, UniqueConstraint, ExcludeConstraint)
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has no annotation there


def fault_of_tables(made: Projection) -> str:
    """What is wrong with them, empty if nothing is."""
    tables: object = made.tables
    if not isinstance(tables, MetaData):
        return f"its tables are {tables!r:.100}; use a MetaData of SQLAlchemy that knows them."
    versioned = table_name(made.name, made.version, "")
    try:
        faults = [
            *(_fault_of_name(table, versioned) for table in tables.sorted_tables),
            *(_fault_of_statement(statement, versioned) for statement in _statements(tables)),
        ]
    except SQLAlchemyError as error:
        return f"its tables cannot be made: {error}"
    return next(filter(None, faults), "")


def _fault_of_name(table: Table, versioned: str) -> str:
    """Two versions must not share a table: both would write into it."""
    if table.schema is not None or not table.name.startswith(versioned):
        return f"its table {table.fullname!r} has to be named by table_name(name, version, ...)."
    if len(table.name.encode()) > _LONGEST_NAME:
        return f"the name of its table {table.name!r} is longer than {_LONGEST_NAME} bytes; choose a shorter one."
    return ""


def _statements(tables: MetaData) -> Sequence[Any]:
    """All that the database would be told, to make them: types and sequences are not only those of columns."""
    told: list[Any] = []
    listening = create_mock_engine("postgresql+psycopg://", lambda statement, *_: told.append(statement))
    with suppress(Exception):  # listeners of anybody's, which may want the answers of a database
        tables.create_all(listening, checkfirst=False)
    return told


def _fault_of_statement(statement: object, versioned: str) -> str:
    """Raises ``SQLAlchemyError`` for one that cannot be written, such as for a column without a type."""
    shared = "which all versions would share, and which would outlive them"
    match statement:
        case CreateSequence():
            return f"it makes the sequence {statement.element.name!r}, {shared}; use Identity() for the column."
        case CreateEnumType() | CreateDomainType():
            named = repr(statement.element.name)
            return f"it makes the type {named}, {shared}; use Enum(..., native_enum=False), or the type of its values."
        case CreateTable():
            statement.compile(dialect=_DIALECT)
            indexed = [one.name for one in statement.element.constraints if isinstance(one, _INDEXED)]
        case CreateIndex():
            statement.compile(dialect=_DIALECT)
            indexed = [statement.element.name]
        case _:
            return ""
    for name in indexed:
        if isinstance(name, str) and versioned not in name:
            return f"its index or constraint {name!r} needs {versioned!r} in its name, since each version has its own."
    return ""
