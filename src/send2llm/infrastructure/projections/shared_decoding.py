"""Several projections follow the same events at the same time: each event is decoded once for all of them."""

from send2llm.application.context import RecordedEvent
from send2llm.infrastructure.projections.log_pages import EventDecoder

_SLOTS = 4096
_LARGEST = 16 * 1024
"""Bytes; larger events are not kept, so that what is kept stays below 128 MiB."""


class SharedDecoder:
    """Decodes, and keeps what it decoded lately. Any number of threads may use it: a slot is written in one step.

    Events never change, so whoever gets one may share it with others.
    """

    def __init__(self, decoder: EventDecoder) -> None:
        self._decoder = decoder
        self._slots: list[RecordedEvent | None] = [None] * _SLOTS
        self._with_texts: list[tuple[RecordedEvent, bytes] | None] = [None] * _SLOTS

    def decode(
        self, position: int, stream: str, version: int, topic: str, state: bytes, key: bytes | None = None
    ) -> RecordedEvent:
        """The event with its metadata; raises when the row makes no sense."""
        slot = position % _SLOTS
        with_texts = self._with_texts[slot]
        if with_texts is not None and with_texts[0].position == position and with_texts[1] == key:
            return with_texts[0]
        known = self._slots[slot]
        if key is None and known is not None and known.position == position:
            return known
        event = self._decoder.decode(position, stream, version, topic, state, key)
        if len(state) > _LARGEST:
            return event
        if key is None:
            self._slots[slot] = event
        else:
            self._with_texts[slot] = event, key
        return event
