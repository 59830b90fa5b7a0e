"""Events as rows: a topic, and a state that is JSON in UTF-8.

The state reads ``{"meta": {...}, "data": {...}}``: the metadata with the schema version, and the event. SQL
reads it with ``convert_from(state, 'UTF8')::jsonb``. Amounts of money are text, so that no JSON reader rounds
them; times are in UTC. Fields at their defaults are left out. ``text_escape`` says what becomes of text that
``jsonb`` refuses.

With a key, what somebody said is not in ``data`` but in ``{"texts": "..."}`` beside it: the fields that the module
``texts`` names, as JSON, encrypted (``text_keys``). Without the key they are erased, for whoever reads.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from eventsourcing.persistence import StoredEvent

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.domain.errors import UnreadableEvent
from send2llm.infrastructure.event_store import text_escape
from send2llm.infrastructure.event_store.append_key import Encrypting
from send2llm.infrastructure.event_store.converter import read_uuid
from send2llm.infrastructure.event_store.text_keys import LOST, TextKeys, lost_key, unknown_master_key
from send2llm.infrastructure.event_store.texts import TEXTS, put_erased, put_texts, take_texts
from send2llm.infrastructure.event_store.topics import (
    EventRegistry,
    EventType,
    UnknownSchemaVersion,
)

MARK_OF_TEXTS = b'},"texts":"'
"""Is in every state with encrypted texts, and in hardly any other: it can be looked for without reading the state."""


class EventCodec:
    """Turns events into rows of the event table and back.

    ``keys`` open the keys of conversations. A reader that passes none with a row gets its texts as if they were erased,
    and much faster.
    """

    def __init__(self, registry: EventRegistry, keys: TextKeys | None = None) -> None:
        self._registry = registry
        self.keys = keys

    def encode(
        self, stream: str, version: int, event: object, metadata: Metadata, key: Encrypting | None = None
    ) -> StoredEvent:
        """The row for an event; raises ``TypeError`` when it holds what JSON cannot."""
        event_type = self._registry.of_event(event)
        data = event_type.write(event)
        state = {"meta": _write_metadata(metadata, event_type.version), "data": data}
        if key is not None and (texts := take_texts(data, TEXTS.get(event_type.topic, {}))):
            state["texts"] = key.encrypt(_dump(texts), version)
        return StoredEvent(stream, version, event_type.topic, _dump(state))

    def decode(
        self, position: int, stream: str, version: int, topic: str, state: bytes, key: bytes | None = None
    ) -> RecordedEvent:
        """The event of a row, with its metadata; raises ``UnreadableEvent``, and ``UnreadableText``.

        ``key`` is the stored key of the conversation, ``LOST`` where there should be one.
        """
        try:
            event_type = self._registry.of_topic(topic)
            loaded = self._load(stream, version, topic, state, key)
            try:
                metadata = _read_metadata(loaded["meta"])
            except (KeyError, TypeError, ValueError) as error:
                raise _does_not_fit(topic, error) from None
            return RecordedEvent(position, stream, version, topic, self._read(event_type, loaded), metadata)
        except UnreadableEvent as error:
            error.position = position
            raise

    def decode_event(self, stream: str, version: int, topic: str, state: bytes, key: bytes | None = None) -> Any:
        """The event of a row alone, for folding: cheaper than ``decode``; raises what that does."""
        return self._read(self._registry.of_topic(topic), self._load(stream, version, topic, state, key))

    def read_plain(
        self, stream: str, version: int, topic: str, state: bytes, key: bytes | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The metadata and the data of a row as JSON values, without making the event.

        The data is in the words of the present schema version, and ``schema_version`` of the metadata says so. What
        this process does not know, a topic or a newer version, is given as it was stored. Raises what ``decode`` does.
        """
        loaded = self._load(stream, version, topic, state, key)
        try:
            meta, data = loaded["meta"], loaded["data"]
            stored_version = meta["schema_version"]
            known_version = self._registry.version_of(topic)
            if known_version is not None and stored_version in range(1, known_version):
                data = self._registry.upcasts.apply(topic, data, stored_version, known_version)
                meta = {**meta, "schema_version": known_version}
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise _does_not_fit(topic, error) from None
        return meta, data

    def data(self, event: object) -> dict[str, Any]:
        """What happened in an event, as plain JSON values: the ``data`` of its state, ``text_escape`` included."""
        data: dict[str, Any] = orjson.loads(_dump(self._registry.of_event(event).write(event)))
        return data

    def has_plain_texts(self, topic: str, state: bytes) -> bool:
        """Whether the state holds text that was stored without a key; raises ``UnreadableEvent``."""
        loaded = _load(topic, state)
        return "texts" not in loaded and bool(take_texts(loaded["data"], TEXTS.get(topic, {})))

    def has_encrypted_texts(self, topic: str, state: bytes) -> bool:
        """Whether the state holds text that was stored under a key; raises ``UnreadableEvent``."""
        return "texts" in _load(topic, state)

    def _load(self, stream: str, version: int, topic: str, state: bytes, key: bytes | None) -> dict[str, Any]:
        loaded = _load(topic, state)
        if "texts" not in loaded:
            return loaded
        try:
            if key is None:
                put_erased(loaded["data"], TEXTS.get(topic, {}))
            elif key == LOST:
                raise lost_key(stream)
            elif self.keys is None:
                raise unknown_master_key(key)
            else:
                plain = self.keys.open(stream, key).decrypt(loaded["texts"], version)
                put_texts(loaded["data"], _load(topic, plain))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise _does_not_fit(topic, error) from None
        return loaded

    def _read(self, event_type: EventType, loaded: dict[str, Any]) -> Any:
        topic, version = event_type.topic, event_type.version
        try:
            stored_version, data = loaded["meta"]["schema_version"], loaded["data"]
            if stored_version != version:
                if stored_version not in range(1, version):
                    raise UnknownSchemaVersion(topic, stored_version, version)
                data = self._registry.upcasts.apply(topic, data, stored_version, version)
            return event_type.read(data, event_type.event_class)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise _does_not_fit(topic, error) from None


def _does_not_fit(topic: str, error: Exception) -> UnreadableEvent:
    # The error itself may quote what somebody said, so only its kind is told.
    return UnreadableEvent(
        f"A stored event {topic!r} does not fit its class ({type(error).__name__}). If the class has changed, "
        "raise its schema version and register an upcast."
    )


def _write_metadata(metadata: Metadata, schema_version: int) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "event_id": metadata.event_id,
        "occurred_at": metadata.occurred_at.astimezone(UTC),
        "correlation_id": metadata.correlation_id,
        "actor": metadata.actor,
        "tenant": metadata.tenant,
        "schema_version": schema_version,
    }
    if metadata.causation_id is not None:
        meta["causation_id"] = metadata.causation_id
    if metadata.trace_id is not None:
        meta["trace_id"] = metadata.trace_id
    return meta


def _read_metadata(meta: dict[str, Any]) -> Metadata:
    causation_id = meta.get("causation_id")
    return Metadata(
        UUID(meta["event_id"]),  # of this event alone: to look for it among those read before takes longer
        datetime.fromisoformat(meta["occurred_at"]),
        read_uuid(meta["correlation_id"]),
        causation_id and read_uuid(causation_id),
        meta["actor"],
        meta["tenant"],
        meta.get("trace_id"),
    )


def _dump(state: dict[str, Any]) -> bytes:
    try:
        encoded = orjson.dumps(state, default=_as_json)
    except TypeError:
        # Lone surrogates, or something that is no JSON at all: the second try tells.
        return orjson.dumps(text_escape.escape(state), default=_as_json)
    if text_escape.needs_escape(encoded):
        return orjson.dumps(text_escape.escape(state), default=_as_json)
    return encoded


def _load(topic: str, state: bytes) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = orjson.loads(state)
    except orjson.JSONDecodeError:
        raise UnreadableEvent(
            f"The state of an event {topic!r} is not JSON; was it stored by another program?"
        ) from None
    return text_escape.unescape(loaded) if text_escape.is_escaped(state) else loaded


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__qualname__} cannot be stored in an event.")
