"""The event log as the application reads it: all events in the order of their commits, or one stream.

Insert order is commit order (writers hold the table lock), so whoever asks for what comes after a position
never passes an event by.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, TypeVar
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import RecordedEvent
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.reading import Reader, Row, off_the_loop_when_long
from send2llm.infrastructure.event_store.stored_keys import stored_key
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.texts import TEXTS

_COLUMNS = "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events"
_WITH_KEYS = _COLUMNS.replace(" FROM ", f", {stored_key('%(stream)s::text')} FROM ", 1)

_READ = f"{_COLUMNS} WHERE notification_id > %s ORDER BY notification_id LIMIT %s"
_READ_TOPICS = f"{_COLUMNS} WHERE notification_id > %s AND topic = ANY (%s) ORDER BY notification_id"
_OF_STREAM = "WHERE originator_id = %(stream)s AND originator_version > %(after)s"
_STREAM = f"{_WITH_KEYS} {_OF_STREAM} ORDER BY originator_version"
_STREAM_TO = f"{_WITH_KEYS} {_OF_STREAM} AND originator_version <= %(up_to)s ORDER BY originator_version"
_STREAM_WITHOUT_TEXTS = f"{_COLUMNS} {_OF_STREAM} ORDER BY originator_version"
_GROWN = """
SELECT known.stream FROM unnest(%s::text[], %s::bigint[]) AS known (stream, version)
WHERE EXISTS (SELECT FROM stored_events WHERE originator_id = known.stream AND originator_version > known.version)
"""
_LAST = f"{_COLUMNS} WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1"
_TEXTS = (
    "SELECT originator_version, topic, state FROM stored_events"
    " WHERE originator_id = %s AND topic = ANY (%s) ORDER BY originator_version"
)
_HEAD = "SELECT coalesce(max(notification_id), 0) FROM stored_events"

Result = TypeVar("Result")


class EventLog:
    """Reads events.

    Every method raises ``StoreUnavailable``, and ``UnreadableEvent`` for what it cannot decode.
    """

    def __init__(self, pool: AsyncConnectionPool[Any], codec: EventCodec) -> None:
        self._reader = Reader(pool)
        self._codec = codec

    async def read(self, after: int, limit: int) -> Sequence[RecordedEvent]:
        """At most ``limit`` events after the position, for who counts and needs no texts: these seem to be erased."""
        return await self._decoded(await self._reader.fetch(_READ, (after, limit)))

    async def of_topics(self, after: int, topics: Sequence[str]) -> Sequence[RecordedEvent]:
        """All events of some rare topics after the position; there must be an index for them."""
        return await self._decoded(await self._reader.fetch(_READ_TOPICS, (after, list(topics))))

    async def head(self) -> int:
        """The position of the last event, 0 when there is none."""
        return int((await self._reader.fetch(_HEAD, ()))[0][0])

    async def stream(
        self, stream: str, *, up_to_version: int | None = None, at: datetime | None = None
    ) -> Sequence[RecordedEvent]:
        """The events of a stream in their order: all, the first ``up_to_version``, or those up to a moment.

        Up to a moment means: before the first event that happened later.
        """
        if up_to_version is None:
            rows = await self._reader.fetch(_STREAM, {"stream": stream, "after": 0})
        else:
            wanted = {"stream": stream, "after": 0, "up_to": up_to_version}
            rows = await self._reader.fetch(_STREAM_TO, wanted)
        events = await self._decoded(rows)
        return events if at is None else list(takewhile(lambda event: event.metadata.occurred_at <= at, events))

    async def events_of(self, conversation_id: UUID) -> Sequence[RecordedEvent]:
        """All events of a conversation in their order, none if it does not exist."""
        return await self.stream(conversation_stream(conversation_id))

    async def last_of(self, stream: str) -> RecordedEvent | None:
        """The last event of a stream, ``None`` when it has none."""
        events = await self._decoded(await self._reader.fetch(_LAST, (stream,)))
        return events[0] if events else None

    async def grown(self, streams: Mapping[str, int]) -> Sequence[str]:
        """Those of the streams, given with a version of each, that hold more than that."""
        rows = await self._reader.fetch(_GROWN, (list(streams), list(streams.values())))
        return [stream for (stream,) in rows]

    async def fold_stream(
        self,
        stream: str,
        after_version: int,
        fold: Callable[[Sequence[Any]], Result],
        key_found: Callable[[bytes], None] = lambda _wrapped: None,
        *,
        texts: bool = True,
    ) -> Result:
        """What ``fold`` makes of the stream's events after a version, without their metadata.

        A long stream is decoded and folded in a thread, a short one at once. ``key_found`` is told the stored key.
        Without ``texts`` what was said seems to be erased where it is encrypted.
        """
        statement = _STREAM if texts else _STREAM_WITHOUT_TEXTS
        rows = await self._reader.fetch(statement, {"stream": stream, "after": after_version})
        if texts and rows and rows[0][5]:
            key_found(rows[0][5])
        decode = self._codec.decode_event
        return await off_the_loop_when_long(rows, lambda: fold([decode(*row[1:]) for row in rows]))

    async def first_in_plain(self, stream: str) -> int | None:
        """The version of the first event of a stream whose texts were stored without a key, ``None`` without any."""
        rows = await self._reader.fetch(_TEXTS, (stream, list(TEXTS)))
        is_plain = self._codec.has_plain_texts
        return await off_the_loop_when_long(
            rows, lambda: next((version for version, topic, state in rows if is_plain(topic, state)), None)
        )

    async def holds_encrypted_texts(self, stream: str) -> bool:
        """Whether any text of a stream was stored under a key."""
        rows = await self._reader.fetch(_TEXTS, (stream, list(TEXTS)))
        is_encrypted = self._codec.has_encrypted_texts
        return await off_the_loop_when_long(rows, lambda: any(is_encrypted(topic, state) for _, topic, state in rows))

    async def _decoded(self, rows: Sequence[Row]) -> Sequence[RecordedEvent]:
        decode = self._codec.decode
        return await off_the_loop_when_long(rows, lambda: [decode(*row) for row in rows])
