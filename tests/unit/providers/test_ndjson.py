"""Newline-delimited JSON, wherever the network cuts it."""

import pytest
from hypothesis import given, strategies as st

from send2llm.infrastructure.providers.dialect import Event
from send2llm.infrastructure.providers.ndjson import NdjsonSplitter
from send2llm.infrastructure.providers.sse import EventTooLarge

LINES = st.lists(st.text(max_size=6).map(lambda text: text.encode().replace(b"\n", b"")), max_size=5)


def split(pieces: list[bytes]) -> list[Event]:
    splitter = NdjsonSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)] + splitter.end()


def test_lines_are_events_and_empty_ones_are_not() -> None:
    assert split([b'{"a": 1}\r\n\n  \n{"b": 2}\n{"c"']) == [
        Event(b'{"a": 1}', b'{"a": 1}\r\n'),
        Event(b'{"b": 2}', b'{"b": 2}\n'),
        Event(b'{"c"', b'{"c"'),
    ]


@given(LINES, st.integers(1, 5))
def test_events_do_not_depend_on_the_pieces(lines: list[bytes], size: int) -> None:
    whole = b"\n".join(lines)

    assert split([whole[n : n + size] for n in range(0, len(whole), size)]) == split([whole])


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    splitter = NdjsonSplitter(limit=10)
    splitter.feed(b"0123456789")

    with pytest.raises(EventTooLarge, match="10 bytes"):
        splitter.feed(b"x")
