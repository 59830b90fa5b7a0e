"""The events as they are stored, page by page."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import psycopg
from sqlalchemy import Connection

from send2llm.domain.log_seals import RawEvent

PAGE = 2000

_EVENTS = (
    "SELECT notification_id, originator_id, originator_version, coalesce(topic, ''), coalesce(state, '')"
    " FROM stored_events"
)
"""The columns may be null; nothing that Send2LLM stores is."""

_PAGE = f"{_EVENTS} WHERE notification_id > %s ORDER BY notification_id LIMIT %s"
_ALL = f"{_EVENTS} ORDER BY notification_id"


def raw_events_after(connection: Connection, position: int, limit: int) -> Sequence[RawEvent]:
    """At most ``limit`` events after a position; insert order is commit order, so that none is ever passed by."""
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with raw.cursor(binary=True) as cursor:
        return [RawEvent(*row) for row in cursor.execute(_PAGE, (position, limit)).fetchall()]


def all_raw_events(connection: Connection) -> Iterator[RawEvent]:
    """Every row of the table in the order of positions, whatever those are: also what no page would ever show.

    The transaction of the connection has to stay open meanwhile.
    """
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with raw.cursor("all_raw_events", binary=True) as cursor:
        cursor.itersize = PAGE
        cursor.execute(_ALL)
        yield from map(RawEvent._make, cursor)
