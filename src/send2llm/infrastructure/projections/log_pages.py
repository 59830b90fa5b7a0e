"""Pages of the event log, decoded only as far as a projection wants it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from send2llm.application.context import RecordedEvent
from send2llm.infrastructure.event_store.codec import MARK_OF_TEXTS
from send2llm.infrastructure.event_store.stored_keys import STORED_KEYS

StoredRow = tuple[int, str, int, str, bytes]
"""Position, stream, version, topic, state."""
Cursor = psycopg.Cursor[Any]

EVENTS_TABLE = "stored_events"
LAST_POSITION = 2**63 - 1

_PAGE = """
SELECT notification_id, originator_id, originator_version, topic,
       CASE WHEN topic = ANY (%(topics)s) THEN state END
FROM {events} WHERE notification_id > %(after)s AND notification_id <= %(up_to)s{filter}
ORDER BY notification_id LIMIT %(limit)s
"""
_CHOSEN = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM {events} WHERE notification_id = ANY (%(positions)s) AND topic = ANY (%(topics)s)
ORDER BY notification_id
"""
_WANTED = " AND topic = ANY (%(topics)s)"


class EventDecoder(Protocol):
    """Turns a stored row back into an event."""

    def decode(
        self, position: int, stream: str, version: int, topic: str, state: bytes, key: bytes | None = None
    ) -> RecordedEvent:
        """The event with its metadata; raises when the row makes no sense. Without the ``key`` texts seem erased."""
        ...


@dataclass(frozen=True, slots=True)
class LogPage:
    """The events of the wanted topics in a page, and how far the page reaches.

    ``count`` and ``last`` (a position) take in the events that were passed over.
    """

    events: Sequence[RecordedEvent]
    count: int
    last: int


class LogPages:
    """Reads the log in the order of its positions.

    Insert order is commit order in the event store (writers hold its table lock), so whoever asks for what
    comes after a position never passes an event by. The states of unwanted events do not even leave the
    database.
    """

    def __init__(self, decoder: EventDecoder, events_table: str = EVENTS_TABLE) -> None:
        self.channel = events_table
        """Where commits of events are announced."""
        self._decoder = decoder
        events = sql.Identifier(events_table)
        self._pages = {
            only_wanted: sql.SQL(_PAGE).format(events=events, filter=sql.SQL(_WANTED if only_wanted else "")).as_bytes()
            for only_wanted in (False, True)
        }
        self._chosen = sql.SQL(_CHOSEN).format(events=events).as_bytes()
        self._first = sql.SQL("SELECT min(notification_id) FROM {} WHERE notification_id > %s").format(events)

    def read(
        self,
        connection: Connection,
        after: int,
        limit: int,
        topics: Sequence[str],
        *,
        texts: bool = True,
        up_to: int = LAST_POSITION,
        skipped: frozenset[int] = frozenset(),
        only_wanted: bool = False,
    ) -> LogPage:
        """The page of at most ``limit`` events after a position, within a transaction on ``connection``.

        It ends with the position ``up_to``; events at ``skipped`` positions are passed over without being decoded.
        Without ``texts``, what somebody said seems to be erased where it is encrypted. With ``only_wanted`` events of
        other topics do not count: that is faster, for who need not know how far the page reaches.
        """
        # Binary: states come as they are, not as hexadecimal text.
        with _raw(connection).cursor(binary=True) as cursor:
            wanted = {"topics": topics, "after": after, "up_to": up_to, "limit": limit}
            rows = cursor.execute(self._pages[only_wanted], wanted).fetchall()
            chosen = [row for row in rows if row[4] is not None and row[0] not in skipped]
            events = self._decoded(cursor, chosen, texts=texts)
        return LogPage(events, len(rows), rows[-1][0] if rows else after)

    def at(
        self, connection: Connection, positions: Sequence[int], topics: Sequence[str], *, texts: bool = True
    ) -> Sequence[RecordedEvent]:
        """The events of ``topics`` at these positions, in their order, within a transaction on ``connection``."""
        with _raw(connection).cursor(binary=True) as cursor:
            wanted = {"positions": list(positions), "topics": topics}
            return self._decoded(cursor, cursor.execute(self._chosen, wanted).fetchall(), texts=texts)

    def first_after(self, connection: Connection, position: int) -> int | None:
        """The position of the first event after a position, within a transaction on ``connection``."""
        row = _raw(connection).execute(self._first, (position,)).fetchone()
        return row[0] if row else None

    def _decoded(self, cursor: Cursor, rows: Sequence[StoredRow], *, texts: bool) -> list[RecordedEvent]:
        """An event is given its key if it holds encrypted texts. What was erased since the page was read, is erased."""
        streams = {row[1] for row in rows if MARK_OF_TEXTS in row[4]} if texts else None
        decode = self._decoder.decode
        if not streams:
            return [decode(*row) for row in rows]
        keys = dict(cursor.execute(STORED_KEYS, {"streams": list(streams)}).fetchall())
        return [decode(*row, keys[row[1]]) if MARK_OF_TEXTS in row[4] else decode(*row) for row in rows]


def _raw(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's connection: binary results and COPY have no place in SQLAlchemy."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
