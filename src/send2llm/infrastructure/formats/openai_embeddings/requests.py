"""Requests for embeddings, read into the domain.

Format: https://platform.openai.com/docs/api-reference/embeddings/create
"""

from dataclasses import dataclass
from typing import Literal

from send2llm.domain.completion import EmbeddingParameters, Parameters
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.message import NO_EXTRAS, ContentPart, ForeignPart, Message, TextPart
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    missing,
    optional_integer,
    required_string,
    unknown_fields,
    wrong,
)

FORMAT = "openai"
"""The name of this wire format in the domain: providers of OpenAI's chat completions speak it, too."""

TOKENS = "tokens"
"""The type of a part that is a text in the shape of its tokens."""

Encoding = Literal["float", "base64"]

_KNOWN = frozenset({"model", "input", "dimensions", "encoding_format"})
_EXPECTED = "a string, a list of strings, a list of tokens, or a list of lists of tokens"


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A request in words of the domain; ``encoding`` is how the caller wants to have the vectors."""

    model: str
    message: Message
    parameters: Parameters
    encoding: Encoding


def read_request(body: Body) -> EmbeddingRequest:
    """Read a parsed body; raises ``InvalidRequest`` with the path of the field at fault."""
    try:
        model = required_string(body, "model")
        if not model:
            raise WrongFieldError("must name a model", "model")
        return EmbeddingRequest(
            model,
            Message("user", _inputs(body.get("input"))),
            Parameters(
                embedding=EmbeddingParameters(optional_integer(body, "dimensions")),
                format=FORMAT,
                extras=unknown_fields(body, _KNOWN) or NO_EXTRAS,
            ),
            _encoding(body.get("encoding_format")),
        )
    except WrongFieldError as error:
        raise InvalidRequest(str(error), param=error.param or None) from None


def _inputs(value: object) -> tuple[ContentPart, ...]:
    """A part for each text."""
    if value is None:
        raise missing(_EXPECTED, "input")
    if isinstance(value, str):
        return (TextPart(value),)
    if not isinstance(value, list):
        raise wrong(_EXPECTED, value, "input")
    if not value:
        raise WrongFieldError("must not be an empty list", "input")
    if _is_token(value[0]):
        return (_tokens(value, "input"),)
    return tuple(
        [TextPart(text) if isinstance(text, str) else _tokens(text, "input", place) for place, text in enumerate(value)]
    )


def _tokens(value: object, *path: str | int) -> ForeignPart:
    if not isinstance(value, list):
        raise wrong("a string or a list of tokens", value, *path)
    if not value:
        raise WrongFieldError("must not be an empty list", *path)
    for place, token in enumerate(value):
        if not _is_token(token):
            raise wrong("an integer", token, *path, place)
    return ForeignPart(FORMAT, {"type": TOKENS, "tokens": value})


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _encoding(value: object) -> Encoding:
    if value is None:
        return "float"
    if value not in ("float", "base64"):
        raise WrongFieldError("must be float or base64", "encoding_format")
    return value
