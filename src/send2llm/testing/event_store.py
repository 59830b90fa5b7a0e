"""An event store in memory, for tests: it forgets everything with the process."""

from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from send2llm.application.context import RecordedEvent
from send2llm.domain.errors import StoreUnavailable
from send2llm.infrastructure.event_store.append import BEHIND_THE_LAST, CLOSING_TOPIC, Append
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.errors import VersionConflict
from send2llm.infrastructure.event_store.text_keys import TextKey, TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry


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

    def stream(self, stream: str) -> Sequence[RecordedEvent]:
        """The events of a stream, in their order."""
        self.must_be_available()
        return [self._recorded(position) for position in self._streams.get(stream, ())]

    def key_for(self, stream: str) -> tuple[TextKey | None, bool]:
        """The key under which texts of a stream are to be encrypted, and whether it is new."""
        if self.codec.keys is None:
            return None, False
        known = self._keys.get(stream)
        return (self.codec.keys.new(stream), True) if known is None else (self.codec.keys.open(stream, known), False)

    def first_in_plain(self, stream: str) -> int | None:
        """The version of the first event of a stream whose texts were stored without a key."""
        rows = (self._rows[position - 1] for position in self._streams.get(stream, ()))
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

    def _recorded(self, position: int) -> RecordedEvent:
        row = self._rows[position - 1]
        stream = str(row.originator_id)
        return self.codec.decode(position, stream, row.originator_version, row.topic, row.state, self._keys.get(stream))
