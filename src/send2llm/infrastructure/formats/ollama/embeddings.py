"""Replies of Ollama's embeddings.

Source: https://docs.ollama.com/api/embed (response).
"""

from send2llm.domain.completion import Completion
from send2llm.domain.errors import MalformedReply
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.ollama.reading_messages import FORMAT
from send2llm.infrastructure.formats.ollama.usage import read_usage
from send2llm.infrastructure.formats.vectors import embedding_of, embeddings


def read_embeddings(parsed: Body) -> Completion:
    """The embeddings in the order of the texts; raises ``MalformedReply``."""
    vectors = parsed.get("embeddings")
    if not isinstance(vectors, list):
        raise MalformedReply("The provider's reply holds no embeddings.")
    return embeddings([embedding_of(vector) for vector in vectors], read_usage(parsed), FORMAT)
