"""Google's Gemini: the wire format of ``generateContent``, at the Gemini API and at Vertex AI.

``write_request`` and ``read_reply``/``StreamedAnswers`` serve the adapter that calls Google; ``read_request`` and
``write_reply``/``write_event`` are the ways back. All of it is pure.
"""

from send2llm.infrastructure.formats.gemini.embeddings import (
    read_embeddings,
    write_batches,
    write_contents,
    write_instances,
)
from send2llm.infrastructure.formats.gemini.events import StreamedAnswers, write_event
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT
from send2llm.infrastructure.formats.gemini.replies import parse_reply, read_reply, write_reply
from send2llm.infrastructure.formats.gemini.requests import read_request, write_request
from send2llm.infrastructure.formats.gemini.target import Target
from send2llm.infrastructure.formats.gemini.usage import read_usage, write_usage

__all__ = [
    "FORMAT",
    "StreamedAnswers",
    "Target",
    "parse_reply",
    "read_embeddings",
    "read_reply",
    "read_request",
    "read_usage",
    "write_batches",
    "write_contents",
    "write_event",
    "write_instances",
    "write_reply",
    "write_request",
    "write_usage",
]
