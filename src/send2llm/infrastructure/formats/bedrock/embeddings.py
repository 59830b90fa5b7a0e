"""Embeddings of models on Amazon Bedrock, through ``/model/{id}/invoke``: each vendor has its own format.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html (Cohere).
"""

from collections.abc import Sequence
from typing import Any

from send2llm.domain.completion import Completion, EmbeddingParameters, Parameters, Usage
from send2llm.domain.errors import MalformedReply, RequestRejected
from send2llm.domain.message import Message
from send2llm.infrastructure.formats.bedrock.blocks import FORMAT
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import refuse_foreign_fields
from send2llm.infrastructure.formats.openai_chat import parse_reply
from send2llm.infrastructure.formats.openai_chat.usage import MOST_TOKENS
from send2llm.infrastructure.formats.vectors import embedding_of, embeddings, texts_of

MOST_TEXTS = 96
"""Texts that one request to a Cohere model may hold."""

USUAL_PURPOSE = "search_document"
"""Cohere's models insist on a purpose; this is for callers who name none."""


def write_embedding_requests(messages: Sequence[Message], parameters: Parameters, vendor: str) -> list[Body]:
    """The bodies: one for each text for Amazon's Titan, one for many for Cohere; raises ``RequestRejected``."""
    refuse_foreign_fields(parameters, FORMAT)
    texts = texts_of(messages, FORMAT)
    wanted = parameters.embedding or EmbeddingParameters()
    if vendor == "amazon":
        dimensions = {} if wanted.dimensions is None else {"dimensions": wanted.dimensions}
        return [{"inputText": text, **dimensions} for text in texts]
    if vendor == "cohere":
        shape: Body = {"input_type": wanted.purpose or USUAL_PURPOSE, "embedding_types": ["float"]}
        if wanted.dimensions is not None:
            shape["output_dimension"] = wanted.dimensions
        return [{"texts": texts[n : n + MOST_TEXTS], **shape} for n in range(0, len(texts), MOST_TEXTS)]
    raise RequestRejected("Of the embedding models on Amazon Bedrock only Amazon's Titan and Cohere's are known.")


def read_embeddings(bodies: Sequence[bytes]) -> Completion:
    """The embeddings of all replies in their order; Cohere's models report no tokens in theirs."""
    vectors: list[Any] = []
    tokens: int | None = 0
    for body in bodies:
        parsed = parse_reply(body)
        if "inputTextTokenCount" in parsed:
            vectors.append(parsed.get("embedding"))
            tokens = _sum(tokens, parsed["inputTextTokenCount"])
            continue
        found = parsed.get("embeddings")
        found = found.get("float") if isinstance(found, dict) else found
        if not isinstance(found, list):
            raise MalformedReply("The provider's reply holds no embeddings.")
        vectors += found
        tokens = None
    return embeddings([embedding_of(vector) for vector in vectors], Usage(tokens) if tokens else None, FORMAT)


def _sum(tokens: int | None, more: Any) -> int | None:
    return tokens + more if tokens is not None and isinstance(more, int) and 0 <= more <= MOST_TOKENS else None
