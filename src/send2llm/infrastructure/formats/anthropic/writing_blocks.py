"""Content parts of the domain, written as blocks of Anthropic's messages.

Format: as in ``reading_blocks``. What was read from it comes out the same, but for nulls, which are gone, and for a
single text in a tool's result, which has become the string that it means.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from send2llm.domain.message import (
    ContentPart,
    ForeignPart,
    ImagePart,
    JsonObject,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.anthropic.names import FORMAT, REDACTED
from send2llm.infrastructure.formats.anthropic.reading_blocks import INVALID_ARGUMENTS
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_foreign_part

_DATA_URL = re.compile(r"data:([^;,]*);base64,")
_FORBIDDEN_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def write_blocks(parts: Iterable[ContentPart], *, ours: bool) -> list[Body]:
    """The blocks of a message; ``ours``: it came in this format, and so its extras and signatures go with it.

    Texts without a character are left out, which Anthropic refuses, and so are thoughts that it could not verify.
    Raises ``RequestRejected`` for what only another format can carry.
    """
    blocks: list[Body] = []
    for part in parts:
        match part:
            case TextPart(text=""):
                continue
            case ReasoningPart(signature=signature) if not (ours and signature):
                continue
        blocks.append(write_block(part, ours=ours))
    return blocks


def write_block(part: ContentPart, *, ours: bool) -> Body:
    """One block for one part; not for a tool's result, which may have several parts."""
    extras: JsonObject = getattr(part, "extras", {}) if ours else {}
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text, **extras}
        case ToolCallPart(id=id_, name=name, arguments=arguments):
            return {"type": "tool_use", "id": tool_id(id_), "name": name, "input": arguments_of(arguments), **extras}
        case ImagePart(url=url):
            return {"type": "image", "source": _source(url), **extras}
        case ReasoningPart(signature=signature) if extras.get("type") == REDACTED:
            return {"data": signature, **extras}
        case ReasoningPart(text=text, signature=signature):
            return {"type": "thinking", "thinking": text, "signature": signature if ours else "", **extras}
        case RefusalPart(refusal=text):
            return {"type": "text", "text": text}
        case ForeignPart(format="anthropic", body=body):
            return dict(body)
    raise refuse_foreign_part(part, FORMAT)


def write_results(parts: Sequence[ContentPart], *, ours: bool) -> list[Body]:
    """A message of the role ``tool``: one block for each call that has results in it."""
    results: dict[str, list[ContentPart]] = {}
    inside: list[ContentPart] = []
    before: list[ContentPart] = []
    for part in parts:
        if isinstance(part, ToolResultPart):
            inside = results.setdefault(part.tool_call_id, before)
            before = []
        inside.append(part) if results else before.append(part)
    if not results:
        raise cannot_say("messages (a tool's result that names no call)", FORMAT)
    return [_result(identifier, one, ours=ours) for identifier, one in results.items()]


def _result(identifier: str, parts: Sequence[ContentPart], *, ours: bool) -> Body:
    block: Body = {"type": "tool_result", "tool_use_id": tool_id(identifier)}
    content: list[Body] = []
    further: dict[str, Any] = {}
    is_error = False
    for part in parts:
        if not isinstance(part, ToolResultPart):
            content.append(write_block(part, ours=ours))
            continue
        is_error = is_error or part.is_error
        extras = dict(part.extras) if ours else {}
        inner = extras.pop("text", {})
        further |= extras
        if part.content:
            content.append({"type": "text", "text": part.content, **inner})
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        block["content"] = content[0]["text"]
    elif content:
        block["content"] = content
    if is_error:
        block["is_error"] = True
    return block | further


def tool_id(identifier: str) -> str:
    """An id of a tool call that Anthropic takes (letters, digits, ``_`` and ``-``): other characters become ``_``."""
    return _FORBIDDEN_IN_IDS.sub("_", identifier) or "_"


def arguments_of(arguments: str) -> Body:
    """The arguments of a tool call as the object that they have to be, inside of one if they are none."""
    if not arguments.strip():
        return {}
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {INVALID_ARGUMENTS: arguments}


def _source(url: str) -> Body:
    data = _DATA_URL.match(url)
    if data is not None:
        return {"type": "base64", "media_type": data.group(1).lower(), "data": url[data.end() :]}
    if url.startswith("data:"):
        raise cannot_say("image_url (a data: URL that is not base64)", FORMAT)
    return {"type": "url", "url": url}
