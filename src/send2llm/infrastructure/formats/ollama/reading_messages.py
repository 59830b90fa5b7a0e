"""What a model of Ollama said, read into the domain.

Source: https://docs.ollama.com/api/chat (``message`` of the response).
"""

from hashlib import blake2b
from typing import Any

import orjson

from send2llm.domain.message import NO_EXTRAS, ContentPart, Message, ReasoningPart, TextPart, ToolCallPart
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
from send2llm.infrastructure.formats.tool_arguments import arguments_text

FORMAT = "ollama"
"""The name of this wire format in the domain."""

_FIELDS = frozenset({"role", "content", "thinking", "tool_calls"})
_CALL_FIELDS = frozenset({"id", "type", "function"})


def read_answer(body: Body, moment: str) -> Message:
    """The message of a reply that was made at that ``moment``; raises ``WrongFieldError``."""
    parts: list[ContentPart] = []
    thought, text = optional_string(body, "thinking"), optional_string(body, "content")
    if thought:
        parts.append(ReasoningPart(thought))
    if text:
        parts.append(TextPart(text))
    parts += read_tool_calls(body, moment)
    return Message("assistant", tuple(parts), extras=unknown_fields(body, _FIELDS) or NO_EXTRAS, format=FORMAT)


def read_tool_calls(body: Body, moment: str, before: int = 0) -> list[ToolCallPart]:
    """The tool calls in a message, ``before`` which the answer had that many; raises ``WrongFieldError``."""
    calls: list[ToolCallPart] = []
    for place, call in enumerate(optional_list(body, "tool_calls") or []):
        try:
            calls.append(_tool_call(an_object(call), moment, before + place))
        except WrongFieldError as error:
            raise error.within("tool_calls", place) from None
    return calls


def _tool_call(call: Body, moment: str, number: int) -> ToolCallPart:
    function = an_object(call.get("function"), "function")
    try:
        name = required_string(function, "name")
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, dict):
            raise wrong("an object", arguments, "arguments")
    except WrongFieldError as error:
        raise error.within("function") from None
    identifier = optional_string(call, "id") or _made_id(moment, number, name, arguments)
    extras = unknown_fields(call, _CALL_FIELDS)
    return ToolCallPart(identifier, name, arguments_text(arguments or {}), extras=extras or NO_EXTRAS)


def _made_id(moment: str, number: int, name: str, arguments: Any) -> str:
    """An id for a call without one, as older versions make them: the same reply always gives the same."""
    said = orjson.dumps([moment, number, name, arguments])
    return f"call_{blake2b(said, digest_size=8).hexdigest()}"
