"""Rows of the event table as the documents that consumers outside get.

No event object is made on the way: JSON goes to JSON, which is several times as fast.
"""

import json
from typing import Any

import orjson

from send2llm.application.published_events import PublishedEvent
from send2llm.domain.errors import UnreadableEvent
from send2llm.infrastructure.event_store.codec import EventCodec


class EventDocuments:
    """Makes documents."""

    def __init__(self, codec: EventCodec) -> None:
        self._codec = codec

    def of_row(
        self, position: int, stream: str, version: int, topic: str, state: bytes, key: bytes | None = None
    ) -> PublishedEvent:
        """The event of a row; raises ``UnreadableEvent``, with its position, when the row is none that can be read."""
        try:
            meta, data = self._codec.read_plain(stream, version, topic, state, key)
        except UnreadableEvent as error:
            error.position = position
            raise
        document = {
            "position": position,
            "stream": stream,
            "version": version,
            "topic": topic,
            "event_id": meta["event_id"],
            "occurred_at": meta["occurred_at"],
            "correlation_id": meta["correlation_id"],
            "causation_id": meta.get("causation_id"),
            "actor": meta["actor"],
            "tenant": meta["tenant"],
            "data": data,
        }
        return PublishedEvent(
            position,
            stream,
            version,
            topic,
            meta["tenant"],
            meta["event_id"],
            meta["schema_version"],
            encode_document(document),
        )


def encode_document(document: dict[str, Any]) -> bytes:
    """JSON in one line; half of a surrogate pair, which UTF-8 has no bytes for, is written as JSON's escape."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return json.dumps(document, separators=(",", ":")).encode("ascii")
