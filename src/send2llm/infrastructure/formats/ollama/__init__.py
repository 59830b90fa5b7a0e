"""Ollama's chat: the wire format of ``POST /api/chat`` and ``/api/embed``.

Written for the adapter that calls the provider; all of it is pure.
"""

from send2llm.infrastructure.formats.ollama.embeddings import read_embeddings
from send2llm.infrastructure.formats.ollama.reading_messages import FORMAT
from send2llm.infrastructure.formats.ollama.replies import ChatLines, read_reply
from send2llm.infrastructure.formats.ollama.requests import write_embedding_request, write_request
from send2llm.infrastructure.formats.ollama.writing_messages import write_messages

__all__ = [
    "FORMAT",
    "ChatLines",
    "read_embeddings",
    "read_reply",
    "write_embedding_request",
    "write_messages",
    "write_request",
]
