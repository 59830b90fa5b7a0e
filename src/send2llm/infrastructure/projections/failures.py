"""Which failures pass by themselves, and how to tell people about those that do not."""

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from send2llm.infrastructure.projections.bulk import storable_text

REASON_LENGTH = 500

_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, transaction rolled back (deadlock), resources, locks, shutdown, system
error."""

_PASSING_WITHIN_A_FOLD = ("08", "40", "53", "55P03", "58")
"""SQLSTATE classes, and one code: those of ``_PASSING_CLASSES`` that a statement of the fold cannot well bring about
itself. What it can is a statement that takes too long (57014), or that comes at the wrong moment (55000)."""


class FoldRaised(Exception):
    """A fold raised what will not pass by itself; it is the ``__cause__``."""


def passes_within_a_fold(error: Exception, connection: Connection) -> bool:
    """Whether what a fold raised happened to it: its session (``connection``) is lost, or the database busy or full.

    A fold may open files and call other servers: what it meets there says nothing about the database.
    """
    if _is_lost(connection):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    return state is not None and state.startswith(_PASSING_WITHIN_A_FOLD)


def _is_lost(connection: Connection) -> bool:
    if connection.closed or connection.invalidated:
        return True
    driver_connection = connection.connection.driver_connection
    return driver_connection is None or bool(driver_connection.closed)


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


def raised_by(error: Exception) -> BaseException:
    """What was raised in the first place: by the fold, or by the driver."""
    raised = error.__cause__ if isinstance(error, FoldRaised) and error.__cause__ is not None else error
    return raised.orig if isinstance(raised, DBAPIError) and raised.orig is not None else raised


def reason_of(error: Exception) -> str:
    """Why it failed, in one line, without the statement and the row, which may hold anybody's text."""
    cause = raised_by(error)
    lines = (line.strip() for line in _message_of(cause).splitlines())
    message = next(filter(None, lines), "")
    told = f"{type(cause).__name__}: {message}" if message else type(cause).__name__
    return storable_text(told[:REASON_LENGTH])


def _message_of(cause: BaseException) -> str:
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        return cause.diag.message_primary
    try:
        return str(cause)
    except BaseException as error:  # noqa: BLE001 - anybody's exception, that cannot even say what it is
        return f"it cannot be told ({type(error).__name__})"
