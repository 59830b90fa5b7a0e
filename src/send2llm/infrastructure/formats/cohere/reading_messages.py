"""What a model of Cohere said, read into the domain.

Source: https://docs.cohere.com/v2/reference/chat (``message`` of the response).
"""

from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_list,
    optional_string,
    required_string,
    unknown_fields,
)

FORMAT = "cohere"
"""The name of this wire format in the domain."""

PLAN = "tool_plan"
"""The field of the thought that goes before tool calls; such a thought names it in its extras as its ``field``."""

_FIELDS = frozenset({"role", "content", "tool_calls", PLAN})
_TEXT_FIELDS = frozenset({"type", "text"})
_THOUGHT_FIELDS = frozenset({"type", "thinking"})
_CALL_FIELDS = frozenset({"id", "type", "function"})


def read_answer(body: Body) -> Message:
    """The message of a reply; raises ``WrongFieldError``."""
    parts: list[ContentPart] = []
    content = body.get("content")
    if isinstance(content, str):
        parts.append(TextPart(content))
    else:
        parts += [_inside("content", place, block) for place, block in enumerate(optional_list(body, "content") or [])]
    plan = optional_string(body, PLAN)
    if plan:
        parts.append(ReasoningPart(plan, extras={"field": PLAN}))
    calls = optional_list(body, "tool_calls") or []
    parts += [_inside("tool_calls", place, call) for place, call in enumerate(calls)]
    extras = {name: value for name, value in unknown_fields(body, _FIELDS).items() if value != []}
    return Message("assistant", tuple(parts), extras=extras or NO_EXTRAS, format=FORMAT)


def _inside(field: str, place: int, body: object) -> ContentPart:
    try:
        return _call(an_object(body)) if field == "tool_calls" else _block(an_object(body))
    except WrongFieldError as error:
        raise error.within(field, place) from None


def _block(block: Body) -> ContentPart:
    kind = required_string(block, "type")
    if kind == "text":
        return TextPart(required_string(block, "text"), extras=unknown_fields(block, _TEXT_FIELDS) or NO_EXTRAS)
    if kind == "thinking":
        thought = required_string(block, "thinking")
        return ReasoningPart(thought, extras=unknown_fields(block, _THOUGHT_FIELDS) or NO_EXTRAS)
    return ForeignPart(FORMAT, block)


def _call(call: Body) -> ToolCallPart:
    function = an_object(call.get("function"), "function")
    try:
        name, arguments = required_string(function, "name"), optional_string(function, "arguments") or ""
    except WrongFieldError as error:
        raise error.within("function") from None
    return ToolCallPart(
        required_string(call, "id"), name, arguments, extras=unknown_fields(call, _CALL_FIELDS) or NO_EXTRAS
    )
