"""Trails from the projection, and their events from the log."""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import orjson
import psycopg
from psycopg_pool import AsyncConnectionPool

from send2llm.application.published_events import PublishedEvent
from send2llm.application.trail import Subject, TrailPage
from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.event_store.stored_keys import stored_key
from send2llm.infrastructure.event_store.streams import idempotency_stream
from send2llm.infrastructure.feed.documents import EventDocuments
from send2llm.infrastructure.postgres.pooled_reads import read

PAGE_BYTES = 8 * 1024 * 1024
_AT_ONCE = 100
"""Events that are read by one query, so that large ones are not all in memory."""

_KNOWN_TO = """
SELECT position FROM projection_checkpoints
WHERE name = 'trail' AND role = 'live' AND to_regclass('trail_events') IS NOT NULL
"""
_FOUND = "SELECT position FROM trail_events WHERE ({}) AND position > %(after)s AND position <= %(up_to)s"
_OF_TENANT = " AND tenant = %(tenant)s"
_ORDER = " ORDER BY position LIMIT %(limit)s"
_COLUMNS = {"conversation": "conversation_id", "correlation": "correlation_id", "actor": "actor", "budget": "budget_id"}
# What a call led to has its id; what led to it, the messages and the conversation's start, has its request's.
_OF_CALLS = "completion_id = ANY (%(calls)s) OR correlation_id = ANY (%(requests)s)"
_REQUESTS = """
SELECT DISTINCT correlation_id FROM trail_events AS trail JOIN stored_events ON notification_id = trail.position
WHERE completion_id = ANY (%s) AND topic IN ('conversation.completion_requested', 'conversation.completion_refused')
"""
_CLAIMS = "SELECT state FROM stored_events WHERE originator_id = %s"
_EVENTS: LiteralString = """
SELECT notification_id, originator_id, originator_version, topic, state, STORED_KEY
FROM stored_events AS event WHERE notification_id = ANY (%s) ORDER BY notification_id
""".replace("STORED_KEY", stored_key("event.originator_id"))

Connection = psycopg.AsyncConnection[Any]


class PostgresTrails:
    """``Trails`` by the indices of the projection ``trail``: a page costs what it holds, not what the log holds."""

    def __init__(self, pool: AsyncConnectionPool, documents: EventDocuments) -> None:
        self._pool = pool
        self._documents = documents

    async def page(self, subject: Subject, after: int, limit: int, up_to: int | None = None) -> TrailPage:
        identifier = subject.name if subject.kind in ("actor", "idempotency_key") else _identifier(subject)

        async def work(connection: Connection) -> TrailPage:
            row = await (await connection.execute(_KNOWN_TO)).fetchone()
            if row is None:  # the projection has never run yet
                return TrailPage((), after, more=False, known_to=0)
            known_to = row[0] if up_to is None else min(row[0], up_to)
            found = await _positions(connection, subject, identifier, (after, known_to), limit + 1)
            events, whole = await self._events(connection, found[:limit])
            more = len(found) > limit or not whole
            reached = events[-1].position if events else max(after, known_to)
            return TrailPage(events, reached, more, known_to)

        return await read(self._pool, work, "the trail")

    async def _events(self, connection: Connection, positions: Sequence[int]) -> tuple[list[PublishedEvent], bool]:
        """The events at the positions, fewer when they are large; whether these are all."""
        events: list[PublishedEvent] = []
        for first in range(0, len(positions), _AT_ONCE):
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(_EVENTS, (positions[first : first + _AT_ONCE],))
                events += [self._documents.of_row(*row) for row in await cursor.fetchall()]
            if sum(len(event.document) for event in events) >= PAGE_BYTES:
                break
        return events, len(events) == len(positions)


async def _positions(
    connection: Connection, subject: Subject, identifier: UUID | str, between: tuple[int, int], limit: int
) -> list[int]:
    after, up_to = between
    given: dict[str, object] = {
        "after": after,
        "up_to": up_to,
        "limit": limit,
        "tenant": subject.tenant,
        "of": identifier,
    }
    if subject.kind in _COLUMNS:
        condition = f"{_COLUMNS[subject.kind]} = %(of)s"
    else:
        calls = [identifier]
        if subject.kind == "idempotency_key":
            stream = idempotency_stream(subject.name, subject.key_tenant)
            claims = await (await connection.execute(_CLAIMS, (stream,), binary=True)).fetchall()
            calls = [UUID(orjson.loads(state)["data"]["completion_id"]) for (state,) in claims]
        if not calls:
            return []
        requests = await (await connection.execute(_REQUESTS, (calls,))).fetchall()
        condition = _OF_CALLS
        given |= {"calls": calls, "requests": [request for (request,) in requests]}
    query = _FOUND.format(condition) + (_OF_TENANT if subject.tenant is not None else "") + _ORDER
    rows = await (await connection.execute(query.encode(), given)).fetchall()
    return [position for (position,) in rows]


def _identifier(subject: Subject) -> UUID:
    try:
        return UUID(subject.name)
    except ValueError:
        raise InvalidRequest(f"{subject.kind} is an id, such as {UUID(int=1)}.", param=subject.kind) from None
