"""Keeps the transaction of a fold whole: what a fold wrote and the position are committed together, or neither is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import psycopg
from psycopg.errors import InvalidSavepointSpecification, NoActiveSqlTransaction
from sqlalchemy import Connection, event

_ENDS = re.compile(r"\s*(?:commit|end|abort|prepare\s+transaction|rollback(?!(?:\s+\w+)?\s+to\b))\b", re.IGNORECASE)
"""Statements that end a transaction; going back to a savepoint does not."""


class FoldEndedTransaction(Exception):
    """A fold has ended its transaction or session, or has tried to."""

    def __init__(self) -> None:
        super().__init__(
            "a fold must not commit, roll back or close its connection; what it wrote is committed with the position."
        )


@contextmanager
def kept_whole(connection: Connection) -> Iterator[None]:
    """Within the transaction on ``connection``: raise ``FoldEndedTransaction`` instead of letting it be ended.

    Within a block of psycopg's own, its connection refuses to commit and to roll back; only statements would still
    do it. Those that nobody could refuse have taken the block's savepoint with them.
    """
    whole = connection.get_transaction()
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    event.listen(connection, "before_cursor_execute", _refuse_to_end)
    connection.close = _refuse  # type: ignore[method-assign] # closed, it would have lost the lease with the session
    try:
        with raw.transaction():
            yield
    except (NoActiveSqlTransaction, InvalidSavepointSpecification) as error:
        raise FoldEndedTransaction from error
    finally:
        event.remove(connection, "before_cursor_execute", _refuse_to_end)
        del connection.close
        if not raw.closed and not _is_open(connection, whole):
            raw.rollback()  # SQLAlchemy takes it for ended
            connection.rollback()
            raise FoldEndedTransaction


def _is_open(connection: Connection, whole: object) -> bool:
    now = connection.get_transaction()
    return now is whole and (now is None or now.is_active)


def _refuse_to_end(*of_cursor: Any) -> None:
    statement = of_cursor[2]
    if _ENDS.match(statement):
        _refuse()


def _refuse() -> NoReturn:
    raise FoldEndedTransaction
