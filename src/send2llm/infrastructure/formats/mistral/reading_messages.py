"""What Mistral's models say, read into the domain.

Format: https://docs.mistral.ai/capabilities/reasoning for thoughts (``ThinkChunk``), ``ContentChunk`` for the rest.
"""

from dataclasses import replace
from typing import Any

import orjson

from send2llm.domain.message import NO_EXTRAS, ContentPart, ForeignPart, ImagePart, Message, ReasoningPart, TextPart
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_list,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)
from send2llm.infrastructure.formats.openai_chat.reading_messages import read_assistant

FORMAT = "mistral"
"""The name of this wire format in the domain."""

_TEXT_FIELDS = frozenset({"type", "text"})
_THINKING_FIELDS = frozenset({"type", "thinking", "signature"})


def read_message(body: Body) -> Message:
    """An answer, its parts in their order; raises ``WrongFieldError``."""
    content = body.get("content")
    parts = () if content is None else read_content(content)
    rest = read_assistant({**body, "content": None, "tool_calls": with_written_arguments(body.get("tool_calls"))})
    return replace(rest, parts=(*parts, *rest.parts), format=FORMAT)


def read_content(content: object) -> tuple[ContentPart, ...]:
    """A text, or a list of parts."""
    if isinstance(content, str):
        return (TextPart(content),)
    if not isinstance(content, list):
        raise wrong("a string or a list of parts", content, "content")
    parts = []
    for place, chunk in enumerate(content):
        try:
            parts.append(_part(an_object(chunk)))
        except WrongFieldError as error:
            raise error.within("content", place) from None
    return tuple(parts)


def _part(chunk: Body) -> ContentPart:
    match chunk.get("type", "text"):
        case "text":
            return TextPart(required_string(chunk, "text"), extras=unknown_fields(chunk, _TEXT_FIELDS) or NO_EXTRAS)
        case "thinking":
            return _thought(chunk)
        case "image_url":
            image = chunk.get("image_url")
            image = {"url": image} if isinstance(image, str) else an_object(image, "image_url")
            return ImagePart(required_string(image, "url"), optional_string(image, "detail"))
        case _:
            return ForeignPart(FORMAT, chunk)


def _thought(chunk: Body) -> ReasoningPart:
    """The text of a thought; one that also points to sources keeps its own parts beside it."""
    thinking = chunk.get("thinking")
    if isinstance(thinking, str):
        thinking = [{"type": "text", "text": thinking}]
    inner = optional_list({"thinking": thinking}, "thinking") or []
    texts = [piece["text"] for piece in inner if isinstance(piece, dict) and isinstance(piece.get("text"), str)]
    extras = unknown_fields(chunk, _THINKING_FIELDS)
    if len(texts) < len(inner):
        extras["thinking"] = inner
    return ReasoningPart("".join(texts), optional_string(chunk, "signature") or "", extras=extras or NO_EXTRAS)


def with_written_arguments(tool_calls: Any) -> Any:
    """Tool calls whose arguments are JSON text: Mistral may give the object itself."""
    if not isinstance(tool_calls, list):
        return tool_calls
    return [_with_written_arguments(call) for call in tool_calls]


def _with_written_arguments(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), dict):
        return call
    return {**call, "function": {**function, "arguments": orjson.dumps(function["arguments"]).decode()}}
