"""Which failures pass by themselves, and how to tell people about those that do not."""

import psycopg
from sqlalchemy.exc import DBAPIError

REASON_LENGTH = 500

_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, transaction rolled back (deadlock), resources, locks, shutdown, system
error."""


def is_passing(error: Exception) -> bool:
    """Whether the same work may succeed later: the database is gone, busy or full; no event is at fault."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if not isinstance(cause, psycopg.Error):
        return isinstance(cause, OSError)
    if cause.sqlstate is None:
        # libpq's own errors: the connection could not be made or was lost.
        return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return cause.sqlstate.startswith(_PASSING_CLASSES)


def reason_of(error: Exception) -> str:
    """Why it failed, in one line, without the statement and the row, which may hold anybody's text."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    message = str(cause)
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        message = cause.diag.message_primary
    return f"{type(cause).__name__}: {message}".splitlines()[0][:REASON_LENGTH]
