"""Cohere's chat, version 2: the wire format of ``POST /v2/chat`` and ``/v2/embed``.

Written for the adapter that calls the provider; all of it is pure.
"""

from send2llm.infrastructure.formats.cohere.embeddings import read_embeddings
from send2llm.infrastructure.formats.cohere.events import ChatEvents
from send2llm.infrastructure.formats.cohere.reading_messages import FORMAT
from send2llm.infrastructure.formats.cohere.replies import FAILURES, read_reply
from send2llm.infrastructure.formats.cohere.requests import write_embedding_requests, write_request
from send2llm.infrastructure.formats.cohere.writing_messages import write_messages

__all__ = [
    "FAILURES",
    "FORMAT",
    "ChatEvents",
    "read_embeddings",
    "read_reply",
    "write_embedding_requests",
    "write_messages",
    "write_request",
]
