"""Events that several projections want are decoded once."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.infrastructure.projections.shared_decoding import SharedDecoder

METADATA = Metadata(UUID(int=1), datetime(2026, 11, 23, tzinfo=UTC), UUID(int=2), None, "ann", "acme")


class CountingDecoder:
    def __init__(self) -> None:
        self.decoded: list[int] = []

    def decode(self, position, stream, version, topic, state, key=None):
        if state == b"broken":
            raise ValueError(state)
        self.decoded.append(position)
        return RecordedEvent(position, stream, version, topic, (state, key), METADATA)


def test_the_second_who_asks_gets_the_same():
    decoder = CountingDecoder()
    shared = SharedDecoder(decoder)
    first = shared.decode(1, "s", 1, "t", b"one")
    assert shared.decode(1, "s", 1, "t", b"one") is first
    assert decoder.decoded == [1]


def test_what_was_long_ago_is_decoded_again():
    decoder = CountingDecoder()
    shared = SharedDecoder(decoder)
    for position in (1, 4097, 1):
        assert shared.decode(position, "s", 1, "t", b"one").position == position
    assert decoder.decoded == [1, 4097, 1]


def test_who_comes_without_the_key_does_not_get_the_texts():
    """The conversation was erased, or the projection reads none: what others have decoded is not for it."""
    shared = SharedDecoder(CountingDecoder())
    assert shared.decode(1, "s", 1, "t", b"one", b"key").event == (b"one", b"key")
    assert shared.decode(1, "s", 1, "t", b"one").event == (b"one", None)
    assert shared.decode(1, "s", 1, "t", b"one", b"key").event == (b"one", b"key")


def test_what_is_large_is_not_kept():
    decoder = CountingDecoder()
    shared = SharedDecoder(decoder)
    for _ in range(2):
        shared.decode(1, "s", 1, "t", b"x" * 20_000)
    assert decoder.decoded == [1, 1]


def test_what_makes_no_sense_is_told_to_each():
    shared = SharedDecoder(CountingDecoder())
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            shared.decode(1, "s", 1, "t", b"broken")
