"""Content blocks of Converse, read into the domain.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html. A block is an object
with one field, which says what it is.
"""

from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from send2llm.infrastructure.formats.data_urls import data_url
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_list,
    optional_string,
    required_string,
    unknown_fields,
)
from send2llm.infrastructure.formats.tool_arguments import arguments_text

FORMAT = "bedrock"
"""The name of this wire format in the domain."""

REDACTED = "redactedContent"
"""Marks a thought that is only ciphertext."""

_TOOL_USE_FIELDS = frozenset({"toolUseId", "name", "input"})
_MESSAGE_FIELDS = frozenset({"role", "content"})
_THOUGHT_FIELDS = frozenset({"text", "signature"})


def read_answer(body: Body) -> Message:
    """What a model said; raises ``WrongFieldError``."""
    parts = []
    for place, block in enumerate(optional_list(body, "content") or []):
        try:
            parts.append(read_block(an_object(block)))
        except WrongFieldError as error:
            raise error.within("content", place) from None
    return Message("assistant", tuple(parts), extras=unknown_fields(body, _MESSAGE_FIELDS) or NO_EXTRAS, format=FORMAT)


def read_block(block: Body) -> ContentPart:
    """One block; those without a counterpart in the domain are carried whole."""
    (kind, *others) = block or [""]
    if others:
        return ForeignPart(FORMAT, block)
    try:
        if kind == "text":
            return TextPart(required_string(block, "text"))
        body = an_object(block[kind]) if kind else {}
        if kind == "toolUse" and "type" not in body:
            return _tool_call(body)
        if kind == "reasoningContent":
            return _thought(body)
        if kind == "citationsContent":
            return _cited(body)
        if kind == "image" and body.keys() == {"format", "source"}:
            source = an_object(body["source"], "source")
            if source.keys() == {"bytes"}:
                return picture(required_string(body, "format"), required_string(source, "bytes"))
    except WrongFieldError as error:
        raise error.within(kind) if kind != "text" else error from None
    return ForeignPart(FORMAT, block)


def picture(kind: str, base64: str) -> ImagePart:
    """A picture of a ``kind`` such as ``png``."""
    return ImagePart(data_url(f"image/{kind}", base64))


def _tool_call(body: Body) -> ToolCallPart:
    if "input" not in body:
        raise missing("an object", "input")
    further = unknown_fields(body, _TOOL_USE_FIELDS)
    arguments = arguments_text(body["input"])
    return ToolCallPart(
        required_string(body, "toolUseId"), required_string(body, "name"), arguments, extras=further or NO_EXTRAS
    )


def _thought(body: Body) -> ContentPart:
    if REDACTED in body:
        return ReasoningPart("", required_string(body, REDACTED), extras={REDACTED: True})
    thought = an_object(body.get("reasoningText") or {}, "reasoningText")
    text, signature = optional_string(thought, "text") or "", optional_string(thought, "signature") or ""
    return ReasoningPart(text, signature, extras=unknown_fields(thought, _THOUGHT_FIELDS) or NO_EXTRAS)


def _cited(body: Body) -> TextPart:
    """Text with its sources, which stay with it."""
    texts = [required_string(an_object(piece), "text") for piece in optional_list(body, "content") or []]
    return TextPart("".join(texts), extras={"citations": optional_list(body, "citations") or []})
