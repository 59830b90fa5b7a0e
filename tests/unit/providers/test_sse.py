"""Server-sent events are the same however the network cuts them."""

import itertools

import pytest
from hypothesis import given, strategies as st

from send2llm.infrastructure.providers.sse import Event, EventSplitter, EventTooLarge


def split(*pieces: bytes) -> list[Event]:
    splitter = EventSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events + splitter.end()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


streams = st.lists(
    st.sampled_from(
        [
            b"data: ",
            b"data:",
            b'[{"x": 1}',
            b'{"a": "\xc3\xa4\xe2\x82\xac"}',
            b": ping",
            b"event: x",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"x",
        ]
    ),
    max_size=25,
).map(b"".join)
places = st.lists(st.integers(0, 500), max_size=20)


@given(streams, places)
def test_events_do_not_depend_on_where_the_stream_was_cut(stream: bytes, places: list[int]) -> None:
    assert split(*cut(stream, places)) == split(stream)


@given(streams)
def test_events_do_not_depend_on_pieces_of_single_bytes(stream: bytes) -> None:
    assert split(*(bytes([byte]) for byte in stream)) == split(stream)


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(str.encode), min_size=1
        ),
        max_size=6,
    ),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    places,
)
def test_events_are_what_was_sent(events: list[list[bytes]], end: bytes, places: list[int]) -> None:
    blocks = [b"".join(b"data: " + line + end for line in lines) + end for lines in events]

    received = split(*cut(b"".join(blocks), places))

    assert [event.data for event in received] == [b"\n".join(lines) for lines in events]
    assert [event.raw for event in received] == blocks


@given(streams, places)
def test_raw_bytes_are_never_invented_nor_reordered(stream: bytes, places: list[int]) -> None:
    position = 0
    for event in split(*cut(stream, places)):
        position = stream.index(event.raw, position) + len(event.raw)


def test_comments_and_keep_alives_are_no_events() -> None:
    assert split(b": OPENROUTER PROCESSING\n\n", b":\n\n\n\n", b"data: 1\n\n") == [Event(b"1", b"data: 1\n\n")]


def test_fields_beside_the_data_stay_in_the_raw_bytes_only() -> None:
    raw = b"event: error\nid: 7\n: hm\ndata:1\ndata: 2\ndata\n\n"

    assert split(raw) == [Event(b"1\n2\n", raw)]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert split(b"\xef\xbb\xbfdata: 1\n\n")[0].data == b"1"


def test_characters_cut_in_two_come_whole() -> None:
    assert split(b"data: \xe2", b"\x82", b"\xac\n\n")[0].data.decode() == "\N{EURO SIGN}"


def test_an_event_without_its_blank_line_comes_with_the_end() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b"data: [DONE]") == []
    assert splitter.end() == [Event(b"[DONE]", b"data: [DONE]")]
    assert splitter.end() == []


def test_an_event_comes_as_soon_as_it_is_complete() -> None:
    splitter = EventSplitter()

    assert len(splitter.feed(b"data: 1\n\ndata: 2\n\nda")) == 2
    assert len(splitter.feed(b"ta: 3\n\n")) == 1
    assert len(splitter.feed(b"data: 4\r\n\r\n")) == 1


def test_an_event_has_a_limit() -> None:
    splitter = EventSplitter(limit=100)
    splitter.feed(b"data: " + b"x" * 90)

    with pytest.raises(EventTooLarge, match="100 bytes"):
        splitter.feed(b"x" * 10)


def test_many_small_events_in_one_piece_may_exceed_the_limit_together() -> None:
    assert len(EventSplitter(limit=100).feed(b"data: 1\n\n" * 100)) == 100


@pytest.mark.parametrize(
    "bare", [b'{"error": {"code": 503}}', b'{\r\n  "error": {}\r\n}', b'[{"error": 1}]', b"[\n{\n}\n]"]
)
def test_json_without_any_framing_is_an_event(bare: bytes) -> None:
    assert split(b"data: 1\n\n" + bare) == [Event(b"1", b"data: 1\n\n"), Event(bare, bare)]
    assert split(bare + b"\n\n")[0].data == bare


@pytest.mark.parametrize("odd", [b"hello", b"[DONE]", b": {", b"event: {}", b"<html>"])
def test_other_lines_without_data_are_none(odd: bytes) -> None:
    assert split(odd + b"\n\n", odd) == []
