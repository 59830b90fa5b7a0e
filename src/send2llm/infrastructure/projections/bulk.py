"""Many rows in one or two statements: by PostgreSQL's COPY, or as arrays.

Everything that a fold may meet in an event can be written: PostgreSQL's text knows neither NUL nor half of a
surrogate pair, which JSON does, so they are replaced by U+FFFD. Keys that differ in nothing else are the same key.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

import orjson
import psycopg
from psycopg import sql
from sqlalchemy import ARRAY, JSON, Connection, Dialect, Numeric, Table, Text, delete, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.types import String

Row = Mapping[str, Any]
"""A row by the keys of its table's columns; every column has to be there."""

_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def copy_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert ``rows``, which must be new. Raises ``KeyError`` when a row lacks a column."""
    if not rows:
        return
    statement, values = _copying(table)
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(values(row))


def replace_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Put ``rows`` in the place of those with the same primary keys, which must be there already."""
    if not rows:
        return
    key = list(table.primary_key.columns)
    # One array for each column of the key: a parameter for each value would end at 65,535 of them.
    cleaning = _cleaning(table)
    arrays = [literal(cleaning[column.key]([row[column.key] for row in rows]), ARRAY(column.type)) for column in key]
    connection.execute(delete(table).where(tuple_(*key).in_(select(*[func.unnest(array) for array in arrays]))))
    copy_rows(connection, table, rows)


def add_rows(connection: Connection, table: Table, rows: Sequence[Row], largest: frozenset[str] = frozenset()) -> None:
    """Add the numbers of ``rows`` to those of the rows with the same primary keys, or insert them as new ones.

    All columns but the keys are numbers, and the ``largest`` of them keep the greater one instead of the sum. Each key
    may be there once, or several times if it is the same only as it is stored.
    """
    if not rows:
        return
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    given = {column.key: [row[column.key] for row in rows] for column in table.columns}
    cleaned = {key: clean(given[key]) for key, clean in _cleaning(table).items()}
    arrays: Sequence[list[Any]] = list(cleaned.values())
    if any(cleaned[column.key] != given[column.key] for column in table.primary_key.columns):
        arrays = _together(table, arrays, largest)  # two keys may have become one
    raw.execute(_adding(table, largest), arrays)


def storable_text(text: str) -> str:
    """``text`` as PostgreSQL can hold it."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def storable_json(value: object) -> str:
    """``value`` as JSON text that PostgreSQL can hold, also as ``jsonb``."""
    try:
        encoded = orjson.dumps(value, default=_plain)
    except orjson.JSONEncodeError:  # half of a surrogate pair somewhere inside
        encoded = b"\\u0000"
    if b"\\u0000" in encoded:
        encoded = orjson.dumps(_storable(value), default=_plain)
    return encoded.decode()


@lru_cache(maxsize=256)
def _copying(table: Table) -> tuple[bytes, Callable[[Row], Sequence[Any]]]:
    """The COPY statement for a table, and how a row becomes the values for it."""
    columns = list(table.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(*filter(None, (table.schema, table.name))),
        sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
    )
    keys = [column.key for column in columns]
    pick = itemgetter(*keys) if len(keys) > 1 else lambda row: (row[keys[0]],)
    texts = [place for place, column in enumerate(columns) if isinstance(column.type, String | Text)]
    jsons = [place for place, column in enumerate(columns) if isinstance(column.type, JSON)]

    def values(row: Row) -> Sequence[Any]:
        picked = list(pick(row))
        for place in texts:
            value = picked[place]
            # As storable_text, without the call for what is storable: it is made for each value of a rebuild.
            if value is not None and not (value.isascii() and "\x00" not in value):
                picked[place] = storable_text(value)
        for place in jsons:
            if picked[place] is not None:
                picked[place] = storable_json(picked[place])
        return picked

    return statement.as_bytes(), values


def _together(table: Table, arrays: Sequence[list[Any]], largest: frozenset[str]) -> Sequence[list[Any]]:
    """The same rows, those of one key as one row."""
    keys = [place for place, column in enumerate(table.columns) if column.primary_key]
    joined = [
        None if column.primary_key else max if column.name in largest else operator.add for column in table.columns
    ]
    rows: dict[tuple[Any, ...], Sequence[Any]] = {}
    for row in zip(*arrays, strict=True):
        key = tuple(row[place] for place in keys)
        if key in rows:
            pairs = zip(joined, rows[key], row, strict=True)
            rows[key] = [join(before, added) if join else before for join, before, added in pairs]
        else:
            rows[key] = row
    return [list(values) for values in zip(*rows.values(), strict=True)]


@lru_cache(maxsize=256)
def _adding(table: Table, largest: frozenset[str]) -> bytes:
    """The statement that adds rows to a table, one array for each column."""
    names = {column: sql.Identifier(column.name) for column in table.columns}
    added = [
        sql.SQL("{name} = greatest(present.{name}, excluded.{name})" if column.name in largest else _SUM).format(
            name=name
        )
        for column, name in names.items()
        if not column.primary_key
    ]
    types = [column.type.compile(dialect=_DIALECT) for column in names]
    return (
        sql.SQL(_ADD)
        .format(
            table=sql.Identifier(*filter(None, (table.schema, table.name))),
            columns=sql.SQL(", ").join(names.values()),
            arrays=sql.SQL(", ").join(sql.SQL(f"%s::{kind}[]") for kind in types),
            key=sql.SQL(", ").join(names[column] for column in table.primary_key.columns),
            added=sql.SQL(", ").join(added),
        )
        .as_bytes()
    )


@lru_cache(maxsize=256)
def _cleaning(table: Table) -> Mapping[str, Callable[[list[Any]], list[Any]]]:
    """For each column, by its key, what makes an array of its values that PostgreSQL takes."""
    return {
        column.key: (lambda values: list(map(storable_text, values)))
        if isinstance(column.type, String | Text)
        # An array has values of one kind, and a sum that began with the number 0 is a Decimal later.
        else (lambda values: list(map(Decimal, values)))
        if isinstance(column.type, Numeric)
        else (lambda values: values)
        for column in table.columns
    }


_ADD = """
INSERT INTO {table} AS present ({columns}) SELECT * FROM unnest({arrays}) AS new ({columns})
ON CONFLICT ({key}) DO UPDATE SET {added}
"""
_SUM = "{name} = present.{name} + excluded.{name}"


def _plain(value: object) -> object:
    """What ``orjson`` does not know by itself: read-only mappings, which is what events hold."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _storable(value: object) -> object:
    match value:
        case str():
            return storable_text(value)
        case Mapping():
            return {storable_text(str(key)): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
    return value
