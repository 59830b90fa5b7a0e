"""Items of OpenAI's responses, read into messages.

Format: https://platform.openai.com/docs/api-reference/responses/create (``input``), and ``ResponseInputItem`` of the
official SDK. What the model says comes as several items, and is one message here: its thoughts, texts and calls. A part
with ``item`` among its extras begins an item anew and has that item's own fields; those that follow it go on with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    ImagePart,
    JsonObject,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)
from send2llm.infrastructure.formats.responses.names import FORMAT

ITEM = "item"
"""Among a part's extras: it begins an item with these further fields."""

KIND = "kind"
"""Among a thought's extras: it is no summary but the thought itself, as open models show it; or there is none."""

REASONING_TEXT = "reasoning_text"
NO_THOUGHT = "none"
CUSTOM_CALL = "custom_tool_call"
CUSTOM_OUTPUT = "custom_tool_call_output"
TEXT_TYPES = frozenset({"input_text", "output_text", "text"})

_CALLER_ROLES = ("user", "system", "developer")
_OUTPUTS = frozenset({"function_call_output", CUSTOM_OUTPUT})
_OUTPUT_FIELDS = frozenset({"type", "call_id", "output"})
_TEXT_FIELDS = frozenset({"type", "text"})
_IMAGE_FIELDS = frozenset({"type", "image_url", "detail"})
_REFUSAL_FIELDS = frozenset({"type", "refusal"})
ITEM_FIELDS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"type", "role", "content"}),
    "reasoning": frozenset({"type", "summary", "content", "encrypted_content"}),
    "function_call": frozenset({"type", "call_id", "name", "arguments"}),
    CUSTOM_CALL: frozenset({"type", "call_id", "name", "input"}),
}
"""The fields of items that have a word in the domain."""


def read_input(value: object) -> list[Message]:
    """The ``input`` of a request; raises ``WrongFieldError``."""
    if value is None:
        raise missing("a string or a list of items", "input")
    if isinstance(value, str):
        return [Message("user", (TextPart(value),), format=FORMAT)]
    if not isinstance(value, list):
        raise wrong("a string or a list of items", value, "input")
    if not value:
        raise WrongFieldError("must not be an empty list", "input")
    messages: list[Message] = []
    for place, item in enumerate(value):
        try:
            message = read_item(an_object(item))
        except WrongFieldError as error:
            raise error.within("input", place) from None
        if message.role == "assistant" and messages and messages[-1].role == "assistant":
            messages[-1] = replace(messages[-1], parts=joined(messages[-1].parts, message.parts))
        else:
            messages.append(message)
    return messages


def joined(before: tuple[ContentPart, ...], parts: tuple[ContentPart, ...]) -> tuple[ContentPart, ...]:
    """The parts of an item behind those of others; its beginning is marked if it would seem to go on with them."""
    if not before or not parts or type(before[-1]) not in _GROUPS or ITEM in _extras(parts[0]):
        return before + parts
    first = parts[0]
    if isinstance(first, TextPart | RefusalPart | ReasoningPart) and _GROUPS[type(before[-1])] == _GROUPS[type(first)]:
        return (*before, replace(first, extras={**first.extras, ITEM: {}}), *parts[1:])
    return before + parts


_GROUPS: dict[type, str] = {TextPart: "message", RefusalPart: "message", ReasoningPart: "reasoning"}
"""The items that hold several parts."""


def _extras(part: ContentPart) -> JsonObject:
    return getattr(part, "extras", NO_EXTRAS)


def read_output_item(item: object) -> tuple[ContentPart, ...]:
    """What the model says in one item; raises ``WrongFieldError``."""
    return _said(an_object(item))


def read_item(item: Body) -> Message:
    """One item by itself; raises ``WrongFieldError``."""
    kind = item.get("type")
    if kind in (None, "message"):
        role = item.get("role")
        if role in _CALLER_ROLES:
            return _told(item, role)
        if role == "assistant":
            return Message("assistant", _said(item), format=FORMAT)
        raise WrongFieldError("must be user, assistant, system or developer", "role")
    if not isinstance(kind, str):
        raise wrong("a string", kind, "type")
    if kind in _OUTPUTS:
        return _result(item, kind)
    if kind.endswith(("_output", "_response")):
        return Message("tool", (ForeignPart(FORMAT, item),), format=FORMAT)
    return Message("assistant", _said(item), format=FORMAT)


def _told(item: Body, role: Role) -> Message:
    extras = item_fields(item, ITEM_FIELDS["message"])
    return Message(role, _content(item.get("content"), "content", _part), extras=extras, format=FORMAT)


def _said(item: Body) -> tuple[ContentPart, ...]:
    kind = item.get("type", "message")
    if kind == "message":
        return begun(_content(item.get("content"), "content", _part), item_fields(item, ITEM_FIELDS["message"]))
    if kind == "function_call":
        return (_call(item, "arguments", item_fields(item, ITEM_FIELDS[kind])),)
    if kind == CUSTOM_CALL:
        return (_call(item, "input", {**item_fields(item, ITEM_FIELDS[kind]), "type": "custom"}),)
    if kind == "reasoning":
        return _thoughts(item)
    return (ForeignPart(FORMAT, item),)


def item_fields(item: Body, known: frozenset[str]) -> JsonObject:
    """The further fields of an item; how far it is does not matter, because it is what it is."""
    fields = unknown_fields(item, known)
    fields.pop("status", None)
    return fields or NO_EXTRAS


def begun(parts: tuple[ContentPart, ...], fields: JsonObject) -> tuple[ContentPart, ...]:
    """The parts of an item, whose own further ``fields`` stay with the first of them."""
    if not fields or not parts:
        return parts
    first = parts[0]
    if isinstance(first, TextPart | RefusalPart | ReasoningPart):
        return (replace(first, extras={**first.extras, ITEM: fields}), *parts[1:])
    return parts


def _call(item: Body, text: str, extras: JsonObject) -> ToolCallPart:
    return ToolCallPart(
        required_string(item, "call_id"),
        required_string(item, "name"),
        optional_string(item, text) or "",
        extras=extras,
    )


def _thoughts(item: Body) -> tuple[ContentPart, ...]:
    summary = _content(item.get("summary") or [], "summary", _thought)
    content = _content(item.get("content") or [], "content", _thought)
    signature = optional_string(item, "encrypted_content") or ""
    nothing = ReasoningPart(extras=NO_EXTRAS if signature else {KIND: NO_THOUGHT})
    parts = (*summary, *content) or (nothing,)
    first = parts[0]
    if isinstance(first, ReasoningPart):
        first = replace(first, signature=signature)
    return begun((first, *parts[1:]), item_fields(item, ITEM_FIELDS["reasoning"]))


def _thought(body: Body) -> ContentPart:
    extras = {KIND: REASONING_TEXT} if body.get("type") == REASONING_TEXT else NO_EXTRAS
    return ReasoningPart(required_string(body, "text"), extras=extras)


def _result(item: Body, kind: str) -> Message:
    call_id = required_string(item, "call_id")
    parts = tuple(
        [
            ToolResultPart(call_id, part.text, extras=part.extras) if isinstance(part, TextPart) else part
            for part in _content(item.get("output"), "output", _part)
        ]
    )
    extras = dict(item_fields(item, _OUTPUT_FIELDS))
    if kind == CUSTOM_OUTPUT:
        extras["type"] = kind
    if not any(isinstance(part, ToolResultPart) for part in parts):
        parts = (ToolResultPart(call_id, ""), *parts)
    return Message("tool", parts, extras=extras or NO_EXTRAS, format=FORMAT)


def _content(content: object, field: str, read: Callable[[Body], ContentPart]) -> tuple[ContentPart, ...]:
    if content is None:
        raise missing("a string or a list of parts", field)
    if isinstance(content, str):
        return (TextPart(content),)
    if not isinstance(content, list):
        raise wrong("a string or a list of parts", content, field)
    parts = []
    for place, part in enumerate(content):
        try:
            parts.append(read(an_object(part)))
        except WrongFieldError as error:
            raise error.within(field, place) from None
    return tuple(parts)


def _part(body: Body) -> ContentPart:
    kind = required_string(body, "type")
    if kind in TEXT_TYPES:
        return TextPart(required_string(body, "text"), extras=text_fields(body))
    if kind == "input_image" and body.get("image_url") is not None:
        extras = unknown_fields(body, _IMAGE_FIELDS) or NO_EXTRAS
        return ImagePart(required_string(body, "image_url"), optional_string(body, "detail"), extras=extras)
    if kind == "refusal":
        extras = unknown_fields(body, _REFUSAL_FIELDS) or NO_EXTRAS
        return RefusalPart(required_string(body, "refusal"), extras=extras)
    return ForeignPart(FORMAT, body)  # files, and pictures that lie at the provider


def text_fields(body: Body) -> JsonObject:
    """The further fields of a text; empty lists say nothing."""
    return {name: value for name, value in unknown_fields(body, _TEXT_FIELDS).items() if value != []} or NO_EXTRAS
