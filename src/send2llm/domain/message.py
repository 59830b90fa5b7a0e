"""What is said: messages and their content parts, in no provider's format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Literal

JsonObject = Mapping[str, Any]
"""A JSON object that Send2LLM carries without reading it."""

Role = Literal["system", "developer", "user", "assistant", "tool"]

NO_EXTRAS: JsonObject = MappingProxyType({})
"""The extras of nearly everything; shared, because most messages have none."""


def no_extras() -> JsonObject:
    """``NO_EXTRAS`` as a default factory: before Python 3.12 dataclasses take the view itself for a mutable default."""
    return NO_EXTRAS


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str
    type: Literal["text"] = "text"
    extras: JsonObject = field(default_factory=no_extras)


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture: an ``http(s)`` URL or a ``data:`` URL, and how closely the model shall look (``detail``)."""

    url: str
    detail: str | None = None
    type: Literal["image"] = "image"
    extras: JsonObject = field(default_factory=no_extras)


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What the model thought before it answered, as far as its provider shows it.

    ``signature`` is the provider's own proof or ciphertext of the thought, which it wants back unchanged; it means
    nothing to others. A thought that is only ciphertext has no ``text``.
    """

    text: str = ""
    signature: str = ""
    type: Literal["reasoning"] = "reasoning"
    extras: JsonObject = field(default_factory=no_extras)


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """The model asks for a tool; ``arguments`` is JSON text exactly as the model wrote it, valid or not."""

    id: str
    name: str
    arguments: str
    type: Literal["tool_call"] = "tool_call"
    extras: JsonObject = field(default_factory=no_extras)


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a tool gave back for the call ``tool_call_id``; ``is_error``: the tool failed, and this is why.

    Parts of other kinds behind it in a message of the role ``tool`` belong to the same result.
    """

    tool_call_id: str
    content: str
    type: Literal["tool_result"] = "tool_result"
    extras: JsonObject = field(default_factory=no_extras)
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """The model declined, in its own words."""

    refusal: str
    type: Literal["refusal"] = "refusal"
    extras: JsonObject = field(default_factory=no_extras)


@dataclass(frozen=True, slots=True)
class EmbeddingPart:
    """A text as a point: ``vector`` is base64 of its coordinates, 32-bit floats, the lowest byte first."""

    vector: str
    type: Literal["embedding"] = "embedding"


@dataclass(frozen=True, slots=True)
class ForeignPart:
    """A part that only its own ``format`` understands (audio, files); carried whole to providers of that format."""

    format: str
    body: JsonObject
    type: Literal["foreign"] = "foreign"


ERASED = ForeignPart("send2llm", MappingProxyType({"type": "erased"}))
"""Stands where something was said that has been erased."""

ContentPart = (
    TextPart | ToolCallPart | ToolResultPart | ImagePart | RefusalPart | ReasoningPart | EmbeddingPart | ForeignPart
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    ``extras``, here and in the parts, are fields that Send2LLM does not know. They belong to the wire ``format`` that
    the message came in, and go back to callers and providers of that format only; so do signatures of thoughts.
    """

    role: Role
    parts: tuple[ContentPart, ...]
    name: str | None = None
    extras: JsonObject = field(default_factory=no_extras)
    format: str = "openai"

    @property
    def text(self) -> str:
        """All text parts joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tool calls in the order in which the model made them."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


def transcript_digest(previous: bytes, message: Message) -> bytes:
    """Extend the hash chain of a transcript by one message (16 bytes, BLAKE2b).

    Two clients that send the same conversation reach the same digest whatever their JSON looks like: only
    what was said counts (role, text, images, tool calls and results, refusals), not extras, nulls or empty
    texts, nor how the JSON of a tool call is spelled, which clients read and write anew.
    """
    said = [message.role, message.name or ""]
    for part in message.parts:
        said += _said(part)
    chain = blake2b(previous, digest_size=16)
    for word in said:
        data = word.encode("utf-8", "surrogatepass")
        chain.update(b"%d:" % len(data))
        chain.update(data)
    return chain.digest()


def _said(part: ContentPart) -> tuple[str, ...]:
    match part:
        case TextPart(text=text):
            return ("text", text) if text else ()
        case ToolCallPart(id=id_, name=name, arguments=arguments):
            return ("tool_call", id_, name, _one_spelling(arguments))
        case ToolResultPart(tool_call_id=id_, content=content):
            return ("tool_result", id_, content)
        case ImagePart(url=url):
            return ("image", url)
        case RefusalPart(refusal=refusal):
            return ("refusal", refusal) if refusal else ()
        case ReasoningPart() | EmbeddingPart():
            return ()
        case ForeignPart(format=format_, body=body):
            return ("foreign", format_, _spelled(_essence(body)))


_UNSAID = "cache_control"
"""A mark for caches, which moves on from turn to turn; it says nothing."""


def _essence(value: Any) -> Any:
    """What a JSON value says: without nulls, marks for caches, and the difference between 1 and 1.0."""
    if isinstance(value, Mapping):
        return {name: _essence(item) for name, item in value.items() if item is not None and name != _UNSAID}
    if isinstance(value, list):
        return [_essence(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=dict)


def _one_spelling(arguments: str) -> str:
    """The same text for all spellings of a JSON object; no arguments are an empty one, and other text stays."""
    if not arguments or arguments == "{}":
        return "{}"
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return _spelled(_essence(value)) if isinstance(value, dict) else arguments
