"""Replies of Cohere's embeddings.

Source: https://docs.cohere.com/v2/reference/embed (response).
"""

from collections.abc import Sequence

from send2llm.domain.completion import Completion, Usage
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import EmbeddingPart
from send2llm.infrastructure.formats.cohere.reading_messages import FORMAT
from send2llm.infrastructure.formats.cohere.usage import read_usage
from send2llm.infrastructure.formats.openai_chat import parse_reply
from send2llm.infrastructure.formats.vectors import embedding_of, embeddings


def read_embeddings(bodies: Sequence[bytes]) -> Completion:
    """The embeddings of all replies in their order; the usage is known if all of them report it."""
    parts: list[EmbeddingPart] = []
    tokens: int | None = 0
    identifier = ""
    for body in bodies:
        parsed = parse_reply(body)
        found = parsed.get("embeddings")
        vectors = found.get("float") if isinstance(found, dict) else None
        if not isinstance(vectors, list):
            raise MalformedReply("The provider's reply holds no embeddings.")
        parts += [embedding_of(vector) for vector in vectors]
        usage = read_usage(parsed.get("meta"))
        tokens = None if usage is None or tokens is None else tokens + usage.input_tokens
        identifier = identifier or str(parsed.get("id") or "")
    return embeddings(parts, Usage(tokens) if tokens else None, FORMAT, identifier)
