"""Reading on connections of one's own, without an event loop, in the application's terms."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from send2llm.domain.errors import StoreUnavailable

_GONE = (psycopg.OperationalError, psycopg.InterfaceError)


@contextmanager
def store_errors(remedy: str) -> Iterator[None]:
    """Tell a database that cannot be reached, or goes away, as ``StoreUnavailable``; ``remedy`` is what to do then.

    It comes as psycopg's error or as SQLAlchemy's, according to who is asked; other errors of both are let through.
    """
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, psycopg.errors.UndefinedTable):
            raise StoreUnavailable("The event store has no tables yet; run `send2llm migrate`.") from None
        if isinstance(cause, _GONE):
            raise StoreUnavailable(f"The database does not answer ({type(cause).__name__}). {remedy}") from None
        raise
    except PendingRollbackError:  # SQLAlchemy has noticed before that the connection is gone
        raise StoreUnavailable(f"The connection to the database was lost. {remedy}") from None
