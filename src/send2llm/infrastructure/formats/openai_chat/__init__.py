"""OpenAI's chat completions: the wire format of ``POST /v1/chat/completions``, both ways.

``read_request`` and ``write_reply``/``write_chunk`` serve callers; ``write_request`` and
``read_reply``/``read_chunk`` serve the adapter that calls providers. All of it is pure; JSON text is left
to the caller wherever it is parsed anyway.
"""

from send2llm.infrastructure.formats.openai_chat.chunks import DONE, is_only_usage, read_chunk, write_chunk
from send2llm.infrastructure.formats.openai_chat.embeddings import read_embeddings, write_embedding_requests
from send2llm.infrastructure.formats.openai_chat.reading_messages import FORMAT, read_message
from send2llm.infrastructure.formats.openai_chat.replies import parse_reply, read_reply, write_reply
from send2llm.infrastructure.formats.openai_chat.requests import (
    ChatRequest,
    OutputLimitField,
    read_request,
    write_request,
)
from send2llm.infrastructure.formats.openai_chat.usage import read_usage, write_usage
from send2llm.infrastructure.formats.openai_chat.writing_messages import write_message, write_messages

__all__ = [
    "DONE",
    "FORMAT",
    "ChatRequest",
    "OutputLimitField",
    "is_only_usage",
    "parse_reply",
    "read_chunk",
    "read_embeddings",
    "read_message",
    "read_reply",
    "read_request",
    "read_usage",
    "write_chunk",
    "write_embedding_requests",
    "write_message",
    "write_messages",
    "write_reply",
    "write_request",
    "write_usage",
]
