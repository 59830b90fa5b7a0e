"""Embeddings, as OpenAI and those who follow it have them.

Format: https://platform.openai.com/docs/api-reference/embeddings. Vectors are asked for in base64 (32-bit floats, the
lowest byte first), which is a quarter of the bytes; servers that answer with numbers all the same are understood.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from send2llm.domain.completion import Answer, Completion, Parameters, Usage
from send2llm.domain.errors import MalformedReply, RequestRejected
from send2llm.domain.message import ContentPart, EmbeddingPart, ForeignPart, Message, TextPart
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, an_object, missing, optional_string, wrong
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_foreign_fields, refuse_foreign_part
from send2llm.infrastructure.formats.openai_chat.reading_messages import FORMAT
from send2llm.infrastructure.formats.openai_chat.replies import parse_reply
from send2llm.infrastructure.formats.openai_chat.usage import read_cost, read_usage

MOST_INPUTS = 2048
"""The most texts that one request may hold."""

TOKENS = "tokens"
"""The type of a part (of the format ``openai``) that holds a text as the numbers of its ``tokens``."""


def write_embedding_requests(
    model: str, messages: Sequence[Message], parameters: Parameters, target: str = FORMAT
) -> list[Body]:
    """The bodies for a provider, each part of the messages one input; raises ``RequestRejected``."""
    refuse_foreign_fields(parameters, target)
    wanted = parameters.embedding
    body: Body = {"model": model, **(parameters.extras if parameters.format == target else {})}
    body["encoding_format"] = "base64"
    if wanted is not None and wanted.purpose is not None:
        raise cannot_say("input_type", target)
    if wanted is not None and wanted.dimensions is not None:
        body["dimensions"] = wanted.dimensions
    inputs = [_input(part, target) for message in messages for part in message.parts]
    if len({type(one) for one in inputs}) > 1:
        raise RequestRejected("The inputs are texts as well as tokens; send either, or two requests.")
    return [{**body, "input": inputs[start : start + MOST_INPUTS]} for start in range(0, len(inputs), MOST_INPUTS)]


def _input(part: ContentPart, target: str) -> str | list[int]:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ForeignPart) and part.format == target and part.body.get("type") == TOKENS:
        return _tokens(part.body.get(TOKENS))
    raise refuse_foreign_part(part, target)


def _tokens(tokens: object) -> list[int]:
    if not isinstance(tokens, list) or not tokens or not all(type(token) is int and token >= 0 for token in tokens):
        raise RequestRejected("An input of tokens must be a list of their numbers.")
    return tokens


def read_embeddings(bodies: Sequence[bytes]) -> Completion:
    """One answer with all vectors, in the order of the inputs; raises ``MalformedReply``."""
    replies = [parse_reply(body) for body in bodies]
    try:
        parts = [part for reply in replies for part in _parts(reply.get("data"))]
        model = next((model for reply in replies if (model := optional_string(reply, "model"))), "")
    except WrongFieldError as error:
        raise MalformedReply(f"The provider's reply is not in the format of OpenAI's embeddings: {error}") from None
    usages = [read_usage(reply.get("usage")) for reply in replies]
    costs = [read_cost(reply.get("usage"), body) for reply, body in zip(replies, bodies, strict=True)]
    return Completion(
        answers=(Answer(Message("assistant", tuple(parts), format=FORMAT), "stop"),),
        response_model=model,
        usage=_sum([usage for usage in usages if usage is not None]) if None not in usages else None,
        reported_cost_usd=sum(cost for cost in costs if cost is not None) or None if None not in costs else None,
        format=FORMAT,
        body=bodies[0] if len(bodies) == 1 else b"",
    )


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
        cache_read_input_tokens=sum(usage.cache_read_input_tokens for usage in usages),
    )


def _parts(data: object) -> list[EmbeddingPart]:
    """The vectors by their index: the order of the list is no promise."""
    if not isinstance(data, list):
        raise missing("a list", "data") if data is None else wrong("a list", data, "data")
    found: dict[int, EmbeddingPart] = {}
    for place, each in enumerate(data):
        try:
            entry = an_object(each)
            index = entry.get("index", place)
            if not isinstance(index, int) or isinstance(index, bool):
                raise wrong("an integer", index, "index")
            if index in found or not 0 <= index < len(data):
                raise WrongFieldError(f"is {index}, which another vector has, or no input", "index")
            found[index] = EmbeddingPart(_vector(entry.get("embedding")))
        except WrongFieldError as error:
            raise error.within("data", place) from None
    return [found[index] for index in range(len(data))]


def _vector(embedding: object) -> str:
    """In base64, whatever it came in."""
    if isinstance(embedding, str):
        try:
            size = len(b64decode(embedding, validate=True))
        except ValueError:  # also for characters that base64 has not at all
            size = 0
        if size == 0 or size % 4:
            raise WrongFieldError("must be base64 of 32-bit floats", "embedding")
        return embedding
    if not isinstance(embedding, list) or not embedding:
        raise WrongFieldError("must be base64, or a list of numbers", "embedding")
    return b64encode(_packed(embedding)).decode()


def _packed(numbers: list[Any]) -> bytes:
    try:
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except (struct.error, OverflowError):
        raise WrongFieldError("must be a list of numbers, each of which fits 32 bits", "embedding") from None
