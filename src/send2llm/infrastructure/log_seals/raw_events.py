"""The events as they are stored, page by page."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import psycopg
from sqlalchemy import Connection

from send2llm.domain.log_seals import RawEvent

PAGE = 2000

_PAGE = (
    "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events"
    " WHERE notification_id > %(after)s ORDER BY notification_id LIMIT %(limit)s"
)
_PAGE_OF_TOPICS = _PAGE.replace(" ORDER BY", " AND topic = ANY (%(topics)s) ORDER BY")


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
    """All events in the order of their commits."""
    position = 0
    while page := raw_events_after(connection, position, PAGE):
        yield from page
        position = page[-1].position
