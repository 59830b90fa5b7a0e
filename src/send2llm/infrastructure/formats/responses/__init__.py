"""OpenAI's responses: the wire format of ``POST /v1/responses``, both ways.

``read_request`` and ``write_reply`` serve callers; ``write_request``, ``read_reply`` and ``EventsReader`` serve the
adapter that calls providers. All of it is pure.
"""

from send2llm.infrastructure.formats.responses.names import FORMAT, earlier_answer, response_id
from send2llm.infrastructure.formats.responses.reading_events import EventsReader
from send2llm.infrastructure.formats.responses.reading_items import read_input
from send2llm.infrastructure.formats.responses.record import write_recorded, write_recorded_input
from send2llm.infrastructure.formats.responses.replies import read_reply
from send2llm.infrastructure.formats.responses.requests import read_request, write_request
from send2llm.infrastructure.formats.responses.response import ResponseFrame, status_of, write_reply
from send2llm.infrastructure.formats.responses.writing_items import write_input

__all__ = [
    "FORMAT",
    "EventsReader",
    "ResponseFrame",
    "earlier_answer",
    "read_input",
    "read_reply",
    "read_request",
    "response_id",
    "status_of",
    "write_input",
    "write_recorded",
    "write_recorded_input",
    "write_reply",
    "write_request",
]
