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

_PAGE = f"{_EVENTS} WHERE notification_id > %(after)s ORDER BY notification_id LIMIT %(limit)s"
_PAGE_OF_TOPICS = _PAGE.replace(" ORDER BY", " AND topic = ANY (%(topics)s) ORDER BY")
_ALL = f"{_EVENTS} ORDER BY notification_id"


def raw_events_after(
    connection: Connection, position: int, limit: int, topics: Sequence[str] = ()
) -> Sequence[RawEvent]:
    """At most ``limit`` events after a position; insert order is commit order, so that none is ever passed by.

    Of all topics, or of some: then the others are not sent.
    """
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    query = _PAGE_OF_TOPICS if topics else _PAGE
    with raw.cursor(binary=True) as cursor:
        page = cursor.execute(query, {"after": position, "limit": limit, "topics": list(topics)})
        return [RawEvent(*row) for row in page.fetchall()]


def all_raw_events(connection: Connection) -> Iterator[RawEvent]:
    """Every row of the table in the order of positions, whatever those are: also what no page would ever show.

    The transaction of the connection has to stay open meanwhile.
    """
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with raw.cursor("all_raw_events", binary=True) as cursor:
        cursor.itersize = PAGE
        cursor.execute(_ALL)
        yield from map(RawEvent._make, cursor)
