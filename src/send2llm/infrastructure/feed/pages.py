"""Pages of the log, bounded in events and in bytes: a few events may hold as much as thousands of others."""

from typing import Any, LiteralString

from psycopg_pool import AsyncConnectionPool

from send2llm.application.published_events import PublishedEvent, PublishedPage, Wanted
from send2llm.domain.errors import UnreadableEvent
from send2llm.infrastructure.event_store.reading import Reader, Row, off_the_loop_when_long
from send2llm.infrastructure.event_store.stored_keys import stored_key
from send2llm.infrastructure.feed.documents import EventDocuments

LOOKED_THROUGH = 10_000
"""Events that one query looks through for wanted ones: about ten milliseconds of the database."""

FILTERED_HERE = 500
"""So many events of all tenants are read at once to find those of one."""

PAGE_BYTES = 8 * 1024 * 1024
"""A page that has so many bytes takes no further event; one larger event makes a page by itself."""

# ``before``: how many events, and bytes, the page has before the row. The row that the query looked at last comes too,
# wanted or not: it says how far the page reaches. Sizes of states are known without reading them.
_LOG: LiteralString = """
SELECT notification_id, originator_id, originator_version, topic, CASE WHEN wanted THEN state END,
       CASE WHEN wanted THEN STORED_KEY END, last, looked_at
FROM (
    SELECT *,
           max(notification_id) OVER () AS last, count(*) OVER () AS looked_at,
           count(*) FILTER (WHERE wanted) OVER before AS events_before,
           coalesce(sum(octet_length(state)) FILTER (WHERE wanted) OVER before, 0) AS bytes_before
    FROM (
        SELECT notification_id, originator_id, originator_version, topic, state,
               (%(topics)s::text[] IS NULL OR topic = ANY (%(topics)s::text[])) AS wanted
        FROM stored_events WHERE notification_id > %(after)s ORDER BY notification_id LIMIT %(look_through)s
    ) AS looked_through
    WINDOW before AS (ORDER BY notification_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS page
WHERE (wanted OR notification_id = last) AND events_before < %(limit)s AND bytes_before < %(bytes)s
ORDER BY notification_id
""".replace("STORED_KEY", stored_key("page.originator_id"))
# The versions of a stream are in the order of the log.
_STREAM: LiteralString = """
SELECT notification_id, originator_id, originator_version, topic, state, STORED_KEY
FROM (
    SELECT *, coalesce(sum(octet_length(state)) OVER before, 0) AS bytes_before
    FROM (
        SELECT * FROM stored_events
        WHERE originator_id = %(stream)s AND notification_id > %(after)s
          AND (%(topics)s::text[] IS NULL OR topic = ANY (%(topics)s::text[]))
        ORDER BY originator_version LIMIT %(limit)s
    ) AS found
    WINDOW before AS (ORDER BY originator_version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS page
WHERE bytes_before < %(bytes)s ORDER BY originator_version
""".replace("STORED_KEY", stored_key("%(stream)s::text"))
_HEAD = "SELECT coalesce(max(notification_id), 0) FROM stored_events"


class EventPages:
    """Reads pages from the event table. Insert order is commit order there, so nothing is ever passed by."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], documents: EventDocuments, look_through: int = LOOKED_THROUGH
    ) -> None:
        self._reader = Reader(pool)
        self._documents = documents
        self._look_through = look_through

    async def head(self) -> int:
        """The position of the last event; raises ``StoreUnavailable``."""
        return int((await self._reader.fetch(_HEAD, ()))[0][0])

    async def read(self, after: int, limit: int, wanted: Wanted, page_bytes: int = PAGE_BYTES) -> PublishedPage:
        """What one query finds, perhaps nothing though there is ``more``.

        Raises ``StoreUnavailable``, and ``UnreadableEvent``, with its position, when the first event that is wanted
        cannot be read; any other such one ends the page before it.
        """
        if wanted.stream is not None:
            return await self._of_stream(after, limit, wanted, page_bytes)
        everything = not wanted.topics and wanted.tenant is None
        look_through = limit if everything else self._look_through
        rows = await self._reader.fetch(
            _LOG,
            {
                "topics": sorted(wanted.topics) or None,
                "after": after,
                "look_through": look_through,
                "limit": limit if wanted.tenant is None else max(limit, FILTERED_HERE),
                "bytes": page_bytes,
            },
        )
        if not rows:
            return PublishedPage((), after)
        reached, (last, looked_at) = rows[-1][0], rows[-1][6:]
        read, whole = await self._events([row[:6] for row in rows if row[4] is not None])
        events = read if wanted.tenant is None else [event for event in read if wanted.takes(event)]
        if len(events) > limit:
            return PublishedPage(events[:limit], events[limit - 1].position, more=True)
        if not whole:
            return PublishedPage(events, read[-1].position, more=True)
        return PublishedPage(events, reached, more=reached < last or looked_at == look_through)

    async def _of_stream(self, after: int, limit: int, wanted: Wanted, page_bytes: int) -> PublishedPage:
        head = await self.head()  # before the rows: what is stored in between is found, or comes after it
        rows = await self._reader.fetch(
            _STREAM,
            {
                "stream": wanted.stream,
                "topics": sorted(wanted.topics) or None,
                "after": after,
                "limit": limit,
                "bytes": page_bytes,
            },
        )
        read, whole = await self._events(rows)
        events = read if wanted.tenant is None else [event for event in read if wanted.takes(event)]
        if not whole or (rows and (len(rows) == limit or sum(len(row[4]) for row in rows) >= page_bytes)):
            return PublishedPage(events, read[-1].position, more=True)
        return PublishedPage(events, max(after, head, rows[-1][0] if rows else 0))

    async def _events(self, rows: list[Row]) -> tuple[list[PublishedEvent], bool]:
        """The events of the rows, up to one that cannot be read; whether these are all."""
        return await off_the_loop_when_long(rows, lambda: self._readable(rows))

    def _readable(self, rows: list[Row]) -> tuple[list[PublishedEvent], bool]:
        events: list[PublishedEvent] = []
        for row in rows:
            try:
                events.append(self._documents.of_row(*row))
            except UnreadableEvent:
                if not events:
                    raise
                return events, False
        return events, True
