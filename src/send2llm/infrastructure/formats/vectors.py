"""Embeddings: lists of numbers on the wire, base64 in the domain."""

import struct
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from send2llm.domain.completion import Answer, Completion, Usage
from send2llm.domain.errors import MalformedReply, RequestRejected
from send2llm.domain.message import EmbeddingPart, Message, TextPart
from send2llm.infrastructure.formats.foreign import refuse_foreign_part


def embedding_of(numbers: Any) -> EmbeddingPart:
    """The part for a list of numbers; raises ``MalformedReply`` if it is something else."""
    if not isinstance(numbers, list) or not numbers:
        raise MalformedReply("The provider's embedding is not a list of numbers.")
    try:
        return EmbeddingPart(b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode())
    except (struct.error, OverflowError):
        raise MalformedReply("The provider's embedding holds what is no 32-bit number.") from None


def embeddings(parts: Sequence[EmbeddingPart], usage: Usage | None, format_: str, response_id: str = "") -> Completion:
    """The completion that holds them, in the order of the texts."""
    answer = Answer(Message("assistant", tuple(parts), format=format_), "stop")
    return Completion((answer,), response_id=response_id, usage=usage, format=format_)


def texts_of(messages: Sequence[Message], target: str) -> list[str]:
    """The texts to embed, each a part of its own; raises ``RequestRejected`` for anything that is not text."""
    texts: list[str] = []
    for message in messages:
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise refuse_foreign_part(part, target)
            texts.append(part.text)
    if not texts or not all(texts):
        raise RequestRejected("There is no text to embed, or one of them is empty: leave it out.")
    return texts
