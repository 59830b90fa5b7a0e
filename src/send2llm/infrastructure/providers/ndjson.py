"""Newline-delimited JSON, split out of a byte stream.

Format: https://github.com/ndjson/ndjson-spec. JSON text holds no bare line ends, so that each line is one value.
"""

from send2llm.infrastructure.providers.dialect import Event
from send2llm.infrastructure.providers.sse import DEFAULT_LIMIT, EventTooLarge


class NdjsonSplitter:
    """Takes pieces as the network brings them and gives the lines that are complete; empty ones are no events."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[Event]:
        """The lines that end in this piece; raises ``EventTooLarge``."""
        *ends, rest = piece.split(b"\n")
        lines = []
        for end in ends:
            lines.append(bytes(self._rest) + end + b"\n")
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > self._limit:
            raise EventTooLarge(self._limit)
        return [event for line in lines if (event := _event(line)) is not None]

    def end(self) -> list[Event]:
        """The last line, if the stream ended without a line end."""
        event = _event(bytes(self._rest))
        self._rest.clear()
        return [] if event is None else [event]


def _event(line: bytes) -> Event | None:
    data = line.strip()
    return Event(data, line) if data else None
