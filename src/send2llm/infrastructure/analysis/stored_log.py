"""The event table as an export reads it: pages of raw events, and streams."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from send2llm.domain.log_seals import RawEvent, Seal
from send2llm.infrastructure.analysis.stored_states import State, parsed, reveal
from send2llm.infrastructure.analysis.transcripts import MESSAGE_ADDED, RECEIVED
from send2llm.infrastructure.event_store.stored_keys import STORED_KEYS
from send2llm.infrastructure.event_store.text_keys import TextKeys, UnreadableText
from send2llm.infrastructure.log_seals.raw_events import PAGE, raw_events_after
from send2llm.infrastructure.log_seals.tables import page_of_seals, seals_after
from send2llm.infrastructure.postgres.blocking_reads import store_errors
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo

_STREAM = text(
    "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events"
    " WHERE originator_id = :stream AND originator_version <= :version ORDER BY originator_version"
)
_HEAD = text("SELECT coalesce(max(notification_id), 0) FROM stored_events")

_REMEDY = "Run the command again when `send2llm doctor` finds it well; an export goes on where it was."

_told = partial(store_errors, _REMEDY)


class StoredLog:
    """Reads on two connections of its own, in statements that are transactions of their own. Blocks.

    Without ``keys`` nothing is decrypted. Every method raises ``StoreUnavailable`` when the database cannot be reached
    or goes away, the constructor also when it has no tables yet.
    """

    def __init__(self, database: ConnectionInfo, keys: TextKeys | None) -> None:
        self._keys = keys
        self.digest_key = b"" if keys is None else keys.digest_key
        """Makes digests of what was said worth nothing to whoever has them and guesses."""
        self.unreadable: set[str] = set()
        """Streams with texts that are not erased, and that the keys do not open."""
        engine: Engine = create_engine(
            database.sqlalchemy_url,
            poolclass=NullPool,
            pool_reset_on_return=None,  # of a connection that is gone it would log an error
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
        )
        with _told():
            self._connection: Connection = engine.connect()
            self._pages: Connection = engine.connect()
            self.head = int(self._connection.execute(_HEAD).scalar_one())

    @_told()
    def event_at(self, position: int) -> RawEvent | None:
        """What stands at a position, ``None`` when nothing does."""
        found = raw_events_after(self._connection, position - 1, 1) if position > 0 else ()
        return found[0] if found and found[0].position == position else None

    def pages(self, position: int, topics: Sequence[str] = ()) -> Iterator[Sequence[RawEvent]]:
        """What follows a position, up to what was the end when the log was opened; of all topics, or of some.

        The next page is read while one is worked on.
        """
        with ThreadPoolExecutor(1, "log reader") as reader:
            following = reader.submit(self._page, position, topics)
            while page := following.result():
                following = reader.submit(self._page, page[-1].position, topics)
                yield page

    @_told()
    def _page(self, position: int, topics: Sequence[str]) -> Sequence[RawEvent]:
        page = raw_events_after(self._pages, position, PAGE, topics) if position < self.head else []
        return (
            page if not page or page[-1].position <= self.head else [one for one in page if one.position <= self.head]
        )

    @_told()
    def keys_of(self, streams: Collection[str]) -> Mapping[str, bytes]:
        """The stored keys of streams, for ``reveal``; none of those that were erased."""
        if self._keys is None:
            return {}
        found = self._connection.exec_driver_sql(STORED_KEYS, {"streams": list(streams)})
        return {stream: bytes(wrapped) for stream, wrapped in found if wrapped is not None}

    def reveal(self, event: RawEvent, state: State, wrapped: bytes | None) -> None:
        """Put the texts into the data. Where nobody can read them it is as if they were erased, and noted."""
        if state.texts is None or self._keys is None or wrapped is None:
            reveal(event, state, None)
            return
        try:
            reveal(event, state, self._keys.open(event.stream, wrapped))
        except UnreadableText:
            self.unreadable.add(event.stream)
            reveal(event, state, None)

    def stream(self, stream: str, version: int) -> Iterator[tuple[str, Any]]:
        """Topic and data of a stream's events up to a version; no data where nothing is said."""
        wrapped = self.keys_of([stream]).get(stream)
        with _told():
            rows = self._connection.execute(_STREAM, {"stream": stream, "version": version}).all()
        for position, _, at, topic, stored in rows:
            event = RawEvent(position, stream, at, topic, bytes(stored))
            if event.topic in (MESSAGE_ADDED, RECEIVED) and (state := parsed(event)) is not None:
                self.reveal(event, state, wrapped)
                yield event.topic, state.data
            else:
                yield event.topic, None

    @_told()
    def seal(self, number: int) -> Seal | None:
        """The seal of a number, ``None`` when there is none."""
        found = page_of_seals(self._connection, number - 1, 1)
        return found[0] if found and found[0].number == number else None

    @_told()
    def seals(self, number: int, position: int) -> list[Seal]:
        """The seals after a number of what lies up to a position."""
        return [seal for seal in seals_after(self._connection, number) if seal.last_position <= position]

    def close(self) -> None:
        for connection in (self._connection, self._pages):
            connection.invalidate()  # no rollback: there is no transaction, and the connection may be gone
            connection.close()
        self._connection.engine.dispose()
