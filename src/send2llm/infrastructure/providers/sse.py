"""Server-sent events, split out of a byte stream.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream. The bytes of each
event are kept as they came, so that they can be passed on unchanged; names and ids of events are not looked at.
"""

import re

from send2llm.infrastructure.providers.dialect import Event

DEFAULT_LIMIT = 16 * 2**20
"""Bytes of one event: a picture in base64 fits, a server that never ends a line does not fill the memory."""

_EVENT_END = re.compile(rb"(?>\r\n?|\n)(?>\r\n?|\n)")
_LINE_END = re.compile(rb"\r\n?|\n")
_BARE_JSON = re.compile(rb"\[?\s*\{")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event has more bytes than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"One event of the stream has more than {limit} bytes.")


class EventSplitter:
    """Takes pieces as the network brings them and gives the events that are complete.

    Blocks without data (comments, as servers send them to keep a connection alive) are no events, but JSON without any
    framing is one. The events do not depend on where the pieces were cut.
    """

    __slots__ = ("_limit", "_rest", "_searched")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._searched = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end in this piece; raises ``EventTooLarge``."""
        text: bytes | bytearray = piece
        if self._rest:
            self._rest += piece
            text = self._rest
        blocks, end = _only_newlines(text, self._searched) if b"\r" not in text else _any_ends(text, self._searched)
        rest = text[end:] if end else text
        if len(rest) > self._limit:
            raise EventTooLarge(self._limit)
        self._searched = max(0, len(rest) - 3)  # an end is at most four bytes long
        if rest is not self._rest:
            self._rest = bytearray(rest)
        return [event for block in blocks if (event := _event(block)) is not None]

    def end(self) -> list[Event]:
        """The last event, if the stream ended without the blank line after it."""
        rest, self._rest, self._searched = bytes(self._rest), bytearray(), 0
        event = _event(rest)
        return [] if event is None else [event]


def _only_newlines(text: bytes | bytearray, searched: int) -> tuple[list[bytes], int]:
    """The complete blocks of a stream without carriage returns, and where the last one ends."""
    blocks = []
    start = 0
    found = text.find(b"\n\n", searched)
    while found >= 0:
        blocks.append(bytes(text[start : found + 2]))
        start = found + 2
        found = text.find(b"\n\n", start)
    return blocks, start


def _any_ends(text: bytes | bytearray, searched: int) -> tuple[list[bytes], int]:
    """As ``_only_newlines``, for all three kinds of line ends."""
    blocks = []
    start = 0
    for end in _EVENT_END.finditer(text, searched):
        if end.end() == len(text) and text.endswith(b"\r"):
            break  # its newline may be yet to come
        blocks.append(bytes(text[start : end.end()]))
        start = end.end()
    return blocks, start


def _event(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and block.endswith(b"\n\n") and block.find(b"\n") == len(block) - 2:
        data = block[6:-2]
        if b"\r" not in data:
            return Event(data, block)
    lines = _LINE_END.split(block.removeprefix(_BYTE_ORDER_MARK))
    data_lines = [value for field, _, value in (line.partition(b":") for line in lines) if field == b"data"]
    if not data_lines:
        # Google breaks a stream off with an error that is plain JSON, over several lines and without a field before it.
        bare = block.strip()
        return Event(bare, block) if _BARE_JSON.match(bare) else None
    return Event(b"\n".join(line.removeprefix(b" ") for line in data_lines), block)
