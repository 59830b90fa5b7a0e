"""Amazon's event stream (``application/vnd.amazon.eventstream``), split into its messages.

Format: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html: a prelude with two lengths and
their checksum, headers, a payload, and a checksum of it all. botocore decodes it. The data of an event are what the
AWS SDKs show of it, a JSON object with the kind of the event as its only field.
"""

import struct

import orjson
from botocore.eventstream import EventStreamBuffer, EventStreamMessage, ParserError

from send2llm.domain.errors import MalformedReply
from send2llm.infrastructure.providers.dialect import Event

_WRONG = (ParserError, struct.error, ValueError, LookupError, TypeError)
"""All that botocore raises for bytes that are no message."""


class EventStreamSplitter:
    """Takes pieces as the network brings them; what came before a damaged message is given before the error."""

    def __init__(self) -> None:
        self._buffer = EventStreamBuffer()
        self._raw = bytearray()
        self._error: MalformedReply | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end in this piece; raises ``MalformedReply``."""
        if self._error is not None:
            raise self._error
        self._buffer.add_data(piece)
        self._raw += piece
        events: list[Event] = []
        try:
            for message in self._buffer:
                size = message.prelude.total_length
                raw = bytes(self._raw[:size])
                del self._raw[:size]
                events.append(Event(_data(message), raw))
        except _WRONG as error:
            self._error = MalformedReply(f"The provider's event stream is damaged ({type(error).__name__}).")
            if not events:
                raise self._error from None
        return events

    def end(self) -> list[Event]:
        """Nothing: half a message says nothing."""
        if self._error is not None:
            raise self._error
        return []


def _data(message: EventStreamMessage) -> bytes:
    headers = message.headers
    if headers[":message-type"] == "error":
        said = {"code": headers.get(":error-code"), "message": headers.get(":error-message")}
        return orjson.dumps({"error": said})
    kind = headers[":exception-type" if headers[":message-type"] == "exception" else ":event-type"]
    return b"{%b:%b}" % (orjson.dumps(kind), message.payload or b"{}")
