"""Content blocks of Anthropic's messages, read into the domain.

Format: https://platform.claude.com/docs/en/api/messages/create (``ContentBlockParam``), and ``anthropic.types`` of the
official SDK.
"""

import orjson

from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    ImagePart,
    JsonObject,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.anthropic.names import FORMAT, REDACTED
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_boolean,
    required_string,
    unknown_fields,
    wrong,
)

INVALID_ARGUMENTS = "INVALID_JSON"
"""The field in which arguments that are no JSON object are passed on, as Anthropic's documentation advises.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
"""

_TEXT_FIELDS = frozenset({"type", "text"})
_IMAGE_FIELDS = frozenset({"type", "source"})
_THINKING_FIELDS = frozenset({"type", "thinking", "signature"})
_REDACTED_FIELDS = frozenset({"data"})
_TOOL_USE_FIELDS = frozenset({"type", "id", "name", "input"})
_TOOL_RESULT_FIELDS = frozenset({"type", "tool_use_id", "content", "is_error"})


def read_content(content: object) -> list[ContentPart]:
    """The parts of a message's ``content``: a string, or a list of blocks; raises ``WrongFieldError``."""
    return [part for block in read_blocks(content) for part in block]


def read_blocks(content: object) -> list[tuple[ContentPart, ...]]:
    """The same, block by block."""
    if isinstance(content, str):
        return [(TextPart(content),)]
    if content is None:
        raise missing("a string or a list of blocks", "content")
    if not isinstance(content, list):
        raise wrong("a string or a list of blocks", content, "content")
    blocks = []
    for index, block in enumerate(content):
        try:
            blocks.append(read_block(block))
        except WrongFieldError as error:
            raise error.within("content", index) from None
    return blocks


def read_block(block: object) -> tuple[ContentPart, ...]:
    """One block: one part, and several for a tool's result that holds more than one thing."""
    block = an_object(block)
    match required_string(block, "type"):
        case "text":
            return (TextPart(required_string(block, "text"), extras=_others(block, _TEXT_FIELDS)),)
        case "tool_use":
            return (_tool_use(block),)
        case "tool_result":
            return _tool_result(block)
        case "thinking":
            thought, signature = required_string(block, "thinking"), required_string(block, "signature")
            return (ReasoningPart(thought, signature, extras=_others(block, _THINKING_FIELDS)),)
        case "redacted_thinking":
            extras = {**unknown_fields(block, _REDACTED_FIELDS), "type": REDACTED}
            return (ReasoningPart("", required_string(block, "data"), extras=extras),)
        case "image":
            return (_image(block),)
        case _:
            return (ForeignPart(FORMAT, block),)


def _others(block: Body, known: frozenset[str]) -> JsonObject:
    return unknown_fields(block, known) or NO_EXTRAS


def _image(block: Body) -> ContentPart:
    source = block.get("source")
    if source is None:
        raise missing('an object such as {"type": "url", "url": "https://..."}', "source")
    source = an_object(source, "source")
    try:
        match required_string(source, "type"):
            case "base64":
                url = f"data:{required_string(source, 'media_type')};base64,{required_string(source, 'data')}"
            case "url":
                url = required_string(source, "url")
            case _:
                return ForeignPart(FORMAT, block)  # a file that was uploaded to Anthropic
    except WrongFieldError as error:
        raise error.within("source") from None
    return ImagePart(url, extras=_others(block, _IMAGE_FIELDS))


def _tool_use(block: Body) -> ToolCallPart:
    identifier, name = required_string(block, "id"), required_string(block, "name")
    arguments = an_object(block.get("input", {}), "input")
    return ToolCallPart(identifier, name, arguments_text(arguments), extras=_others(block, _TOOL_USE_FIELDS))


def arguments_text(arguments: Body) -> str:
    """The arguments of a tool call as JSON text; what was not valid JSON comes out as the model wrote it."""
    if len(arguments) == 1 and isinstance(invalid := arguments.get(INVALID_ARGUMENTS), str):
        return invalid
    return orjson.dumps(arguments).decode()


def _tool_result(block: Body) -> tuple[ContentPart, ...]:
    """What a tool gave back: a result part for each text, and the other parts behind them, in their order."""
    identifier = required_string(block, "tool_use_id")
    is_error = optional_boolean(block, "is_error")
    content = block.get("content")
    inside = [] if content is None else read_content(content)
    parts: list[ContentPart] = []
    for part in inside:
        if isinstance(part, TextPart):
            extras: JsonObject = {"text": part.extras} if part.extras else NO_EXTRAS
            parts.append(ToolResultPart(identifier, part.text, extras=extras, is_error=is_error))
        else:
            parts.append(part)
    further = unknown_fields(block, _TOOL_RESULT_FIELDS)
    first = parts[0] if parts else None
    if not isinstance(first, ToolResultPart):  # the first part says whose result it is
        return (ToolResultPart(identifier, "", extras=further or NO_EXTRAS, is_error=is_error), *parts)
    if further:
        parts[0] = ToolResultPart(identifier, first.content, extras={**first.extras, **further}, is_error=is_error)
    return tuple(parts)
