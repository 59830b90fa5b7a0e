"""An event store in memory, for tests: it forgets everything with the process."""

from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from send2llm.application.context import RecordedEvent
from send2llm.domain.errors import StoreUnavailable
from send2llm.infrastructure.event_store.append import BEHIND_THE_LAST, CLOSING_TOPIC, Append
from send2llm.infrastructure.event_store.append_key import AppendKey
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.errors import VersionConflict
from send2llm.infrastructure.event_store.text_keys import LOST, TextKeys, lost_key
from send2llm.infrastructure.event_store.topics import EventRegistry

ERASED_TOPIC = "conversation.erased"


class InMemoryEventStore:
    """Takes appends as the real one does, on lists. Several fakes may share one.

    Events are encoded and decoded as for the database, so what could not be stored there fails here too. Set
    ``available`` to False and every method raises ``StoreUnavailable``. Texts are encrypted if there are ``keys``.
    """

    def __init__(self, registry: EventRegistry | None = None, keys: TextKeys | None = None) -> None:
        self.available = True
        self.codec = EventCodec(registry or EventRegistry.default(), keys)
        self._keys: dict[str, bytes] = {}
        self._rows: list[StoredEvent] = []
        self._streams: dict[str, list[int]] = {}

    @property
    def events(self) -> Sequence[RecordedEvent]:
        """Everything that was stored, in order."""
        return [self._recorded(position) for position in range(1, len(self._rows) + 1)]

    def append(self, append: Append) -> int:
        """Store its events, all or nothing, and return the last position; raises ``VersionConflict``."""
        self.must_be_available()
        for row in append.events:
            self._must_fit(row)
        for row in append.events:
            self._put(row)
        for key in append.keys:
            if key.wrapped is None:
                self._keys.pop(key.originator_id, None)
            else:
                self._keys[key.originator_id] = key.wrapped
        return len(self._rows)

    def stream(self, stream: str, *, texts: bool = True) -> Sequence[RecordedEvent]:
        """The events of a stream, in their order."""
        self.must_be_available()
        return [self._recorded(position, texts=texts) for position in self._streams.get(stream, ())]

    def lose_key(self, stream: str) -> None:
        """As when the row of the key is deleted by hand: nobody has erased what was said."""
        del self._keys[stream]

    def key_for(self, stream: str) -> AppendKey | None:
        """The key under which texts of a stream are to be encrypted."""
        if self.codec.keys is None:
            return None
        known = self._keys.get(stream)
        if known is not None:
            return AppendKey(self.codec.keys.open(stream, known))
        if (rows := self._rows_of(stream)) and rows[-1].topic == ERASED_TOPIC:
            return AppendKey(self.codec.keys.new(stream))  # whatever is appended will meet the erasure
        if any(self.codec.has_encrypted_texts(row.topic, row.state) for row in rows):
            return AppendKey(lost_key(stream))
        return AppendKey(self.codec.keys.new(stream), is_new=True)

    def first_in_plain(self, stream: str) -> int | None:
        """The version of the first event of a stream whose texts were stored without a key."""
        rows = self._rows_of(stream)
        plain = (row.originator_version for row in rows if self.codec.has_plain_texts(row.topic, row.state))
        return next(plain, None)

    def must_be_available(self) -> None:
        """Raise ``StoreUnavailable`` when the test wants it so."""
        if not self.available:
            raise StoreUnavailable("The event store is away; the test said so.")

    def _must_fit(self, row: StoredEvent) -> None:
        positions = self._streams.get(str(row.originator_id), [])
        if row.originator_version == BEHIND_THE_LAST:
            refused = bool(positions) and self._rows[positions[-1] - 1].topic == CLOSING_TOPIC
        else:
            refused = row.originator_version <= len(positions)
        if refused:
            raise VersionConflict(str(row.originator_id), row.originator_version)

    def _put(self, row: StoredEvent) -> None:
        positions = self._streams.setdefault(str(row.originator_id), [])
        version = row.originator_version
        if version == BEHIND_THE_LAST:
            version = len(positions) + 1
        self._rows.append(StoredEvent(row.originator_id, version, row.topic, row.state))
        positions.append(len(self._rows))

    def _recorded(self, position: int, *, texts: bool = True) -> RecordedEvent:
        row = self._rows[position - 1]
        stream = str(row.originator_id)
        key = self._stored_key(stream) if texts else None
        return self.codec.decode(position, stream, row.originator_version, row.topic, row.state, key)

    def _stored_key(self, stream: str) -> bytes | None:
        erased = self._rows_of(stream)[-1].topic == ERASED_TOPIC
        return self._keys.get(stream, None if erased else LOST)

    def _rows_of(self, stream: str) -> Sequence[StoredEvent]:
        return [self._rows[position - 1] for position in self._streams.get(stream, ())]
