"""Embeddings: ``batchEmbedContents`` of the Gemini API, ``predict`` and ``embedContent`` of Vertex AI.

Formats: https://ai.google.dev/api/embeddings,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api, and for the newer models of
Vertex AI the module ``google.genai.models``.
"""

import base64
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite

from send2llm.domain.completion import Answer, Completion, Parameters, Usage
from send2llm.domain.message import EmbeddingPart, Message, TextPart
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, an_object, optional_list, wrong
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_foreign_fields, refuse_foreign_part
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT
from send2llm.infrastructure.formats.gemini.replies import malformed, parse_reply
from send2llm.infrastructure.formats.gemini.target import Target
from send2llm.infrastructure.formats.gemini.usage import MOST_TOKENS, read_usage
from send2llm.infrastructure.formats.gemini.writing_parts import write_part

_TASKS: Mapping[str, str] = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}

MOST_AT_ONCE = 100
"""Texts in one request of ``batchEmbedContents``."""

MOST_INSTANCES = 250
"""Texts in one request of ``predict``."""


def write_batches(model: str, messages: Sequence[Message], parameters: Parameters) -> list[Body]:
    """Bodies of ``batchEmbedContents`` for the ``model`` (``models/...``); raises ``RequestRejected``."""
    settings = _settings(parameters)
    requests = [
        {"model": model, "content": {"parts": _parts(message, Target(model))}, **settings}
        for message in _each(messages)
    ]
    return _batches("requests", requests, MOST_AT_ONCE)


def _batches(name: str, items: Sequence[Body], at_once: int) -> list[Body]:
    return [{name: items[first : first + at_once]} for first in range(0, len(items), at_once)]


def write_instances(messages: Sequence[Message], parameters: Parameters) -> list[Body]:
    """Bodies of ``predict``; raises ``RequestRejected``.

    Texts that are too long are refused by the provider: a part of a text must not pass for the whole.
    """
    settings = _settings(parameters)
    task = settings.pop("taskType", None)
    instances = [{"content": _text(message)} | ({"task_type": task} if task else {}) for message in _each(messages)]
    shared = {"autoTruncate": False, **settings}
    return [{**body, "parameters": shared} for body in _batches("instances", instances, MOST_INSTANCES)]


def write_contents(messages: Sequence[Message], parameters: Parameters, target: Target) -> list[Body]:
    """Bodies of Vertex AI's ``embedContent`` for one input, of its ``batchEmbedContents`` for several.

    Raises ``RequestRejected``.
    """
    settings = {"autoTruncate": False, **_settings(parameters)}
    requests = [
        {"content": {"role": "user", "parts": _parts(message, target)}, "embedContentConfig": settings}
        for message in _each(messages)
    ]
    return requests if len(requests) == 1 else _batches("requests", requests, MOST_AT_ONCE)


def _each(messages: Sequence[Message]) -> list[Message]:
    """One message for each input: each part of the messages is one."""
    return [replace(message, parts=(part,)) for message in messages for part in message.parts]


def _settings(parameters: Parameters) -> Body:
    refuse_foreign_fields(parameters, FORMAT)
    wanted = parameters.embedding
    settings: Body = {}
    if wanted is not None and wanted.dimensions is not None:
        settings["outputDimensionality"] = wanted.dimensions
    if wanted is not None and wanted.purpose is not None:
        if wanted.purpose not in _TASKS:
            raise cannot_say(f"input_type ({wanted.purpose[:40]})", FORMAT)
        settings["taskType"] = _TASKS[wanted.purpose]
    return settings


def _parts(message: Message, target: Target) -> list[Body]:
    ours = message.format == FORMAT
    written = (write_part(part, target, ours=ours) for part in message.parts)
    return [part for part in written if part is not None]


def _text(message: Message) -> str:
    for part in message.parts:
        if not isinstance(part, TextPart):
            raise refuse_foreign_part(part, FORMAT)
    return message.text


def read_embeddings(bodies: Sequence[bytes]) -> Completion:
    """One answer with all the vectors, in their order; raises ``MalformedReply``."""
    parts: list[EmbeddingPart] = []
    counts: list[int] = []
    try:
        for body in bodies:
            parsed = parse_reply(body)
            found = list(_embeddings(parsed))
            parts += [_vector(embedding.get("values")) for embedding in found]
            counts.append(_tokens(parsed, found))
    except WrongFieldError as error:
        raise malformed(error) from None
    usage = Usage(input_tokens=sum(counts)) if counts and all(counts) else None
    answer = Answer(Message("assistant", tuple(parts), format=FORMAT), "stop")
    return Completion((answer,), usage=usage, format=FORMAT)


def _embeddings(parsed: Body) -> Iterable[Body]:
    if "embedding" in parsed:
        yield an_object(parsed["embedding"], "embedding")
    for place, embedding in enumerate(optional_list(parsed, "embeddings") or []):
        yield an_object(embedding, "embeddings", place)
    for place, prediction in enumerate(optional_list(parsed, "predictions") or []):
        yield an_object(
            an_object(prediction, "predictions", place).get("embeddings"), "predictions", place, "embeddings"
        )


def _vector(values: object) -> EmbeddingPart:
    if not isinstance(values, list) or not values:
        raise wrong("a list of numbers", values, "values")
    try:
        floats = array("f", values)
    except TypeError:
        raise wrong("a list of numbers", None, "values") from None
    if not isfinite(sum(floats)):
        raise WrongFieldError("must be numbers that 32-bit floats can hold", "values")
    if sys.byteorder == "big":
        floats.byteswap()
    return EmbeddingPart(base64.b64encode(floats.tobytes()).decode())


def _tokens(parsed: Body, embeddings: Sequence[Body]) -> int:
    """The tokens that the provider counted, for the whole request or for each text; 0 if it did not tell."""
    usage = read_usage(parsed.get("usageMetadata"))
    if usage is not None:
        return usage.input_tokens
    counts = [_count(one.get("statistics")) for one in embeddings]
    return sum(counts) if all(counts) else 0


def _count(statistics: object) -> int:
    """A whole number, which Vertex AI writes with a point."""
    count = statistics.get("token_count") if isinstance(statistics, dict) else None
    return int(count) if isinstance(count, int | float) and 0 < count <= MOST_TOKENS else 0
