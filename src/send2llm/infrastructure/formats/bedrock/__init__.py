"""Amazon Bedrock's Converse: the wire format of ``POST /model/{modelId}/converse`` and ``/converse-stream``.

Written for the adapter that calls the provider; all of it is pure.
"""

from send2llm.infrastructure.formats.bedrock.blocks import FORMAT
from send2llm.infrastructure.formats.bedrock.embeddings import read_embeddings, write_embedding_requests
from send2llm.infrastructure.formats.bedrock.events import ConverseEvents
from send2llm.infrastructure.formats.bedrock.replies import read_reply
from send2llm.infrastructure.formats.bedrock.requests import write_request
from send2llm.infrastructure.formats.bedrock.writing_messages import write_messages

__all__ = [
    "FORMAT",
    "ConverseEvents",
    "read_embeddings",
    "read_reply",
    "write_embedding_requests",
    "write_messages",
    "write_request",
]
