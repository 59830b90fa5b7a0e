"""Mistral's chat completions: OpenAI's in most, with contents in parts, thoughts among them, and other names.

Format: https://docs.mistral.ai/api, and ``mistralai.client.models`` of the ``mistralai`` package. All of it is pure.
"""

from send2llm.infrastructure.formats.mistral.reading_messages import FORMAT, read_message
from send2llm.infrastructure.formats.mistral.replies import MistralChunks, read_reply
from send2llm.infrastructure.formats.mistral.requests import write_embedding_requests, write_request
from send2llm.infrastructure.formats.mistral.writing_messages import write_messages

__all__ = [
    "FORMAT",
    "MistralChunks",
    "read_message",
    "read_reply",
    "write_embedding_requests",
    "write_messages",
    "write_request",
]
