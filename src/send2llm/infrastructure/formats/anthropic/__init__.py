"""Anthropic's messages: the wire format of ``POST /v1/messages``, both ways.

``read_request`` and ``write_reply``/``EventWriter`` serve callers; ``write_request`` and ``read_reply``/``EventReader``
serve the adapter that calls providers. All of it is pure.
"""

from send2llm.infrastructure.formats.anthropic.models import most_output_tokens, takes_system_messages
from send2llm.infrastructure.formats.anthropic.names import BETA_FIELD, FORMAT, VERSION_FIELD
from send2llm.infrastructure.formats.anthropic.reading_events import EventReader
from send2llm.infrastructure.formats.anthropic.replies import parse_reply, read_reply, write_reply
from send2llm.infrastructure.formats.anthropic.requests import (
    MessagesRequest,
    read_request,
    write_prompt,
    write_request,
)
from send2llm.infrastructure.formats.anthropic.usage import read_usage, write_usage
from send2llm.infrastructure.formats.anthropic.writing_events import EventWriter
from send2llm.infrastructure.formats.anthropic.writing_messages import (
    has_citations_of_user,
    has_document,
    write_messages,
)

__all__ = [
    "BETA_FIELD",
    "FORMAT",
    "VERSION_FIELD",
    "EventReader",
    "EventWriter",
    "MessagesRequest",
    "has_citations_of_user",
    "has_document",
    "most_output_tokens",
    "parse_reply",
    "read_reply",
    "read_request",
    "read_usage",
    "takes_system_messages",
    "write_messages",
    "write_prompt",
    "write_reply",
    "write_request",
    "write_usage",
]
