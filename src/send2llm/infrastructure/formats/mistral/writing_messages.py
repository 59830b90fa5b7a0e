"""Messages of the domain, written as Mistral has them.

Fields that it does not know are refused by Mistral (422), so only what its documentation has is written. Fields and
parts of its own may also come from callers of OpenAI's format: Mistral's own SDK speaks to the same address.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import (
    ContentPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_foreign_part, require_text
from send2llm.infrastructure.formats.mistral.reading_messages import FORMAT

OWN = frozenset({FORMAT, "openai"})
"""The formats whose callers may use what is Mistral's own."""

_OWN_PARTS = frozenset({"document_url", "file", "input_audio", "reference", "resource", "resource_link", "thinking"})
_TOOL_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def write_messages(messages: Iterable[Message]) -> list[Body]:
    """The ``messages`` of a request; raises ``RequestRejected`` for what cannot be said."""
    return [body for message in messages for body in _bodies(message)]


def _bodies(message: Message) -> list[Body]:
    if any(isinstance(part, ToolResultPart) for part in message.parts):
        return _with_tool_results(message)
    if message.role == "tool":
        raise RequestRejected("A result of a tool names no call, which Mistral's chat completions need.")
    if message.name is not None:
        raise cannot_say("name", FORMAT, source=message.format)
    role = "system" if message.role == "developer" else message.role
    if role == "system":
        require_text(message, FORMAT)
    body: Body = {"role": role, "content": _content(message.parts, message.format)}
    calls = [_tool_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
    if calls:
        body["tool_calls"] = calls
    if message.format in OWN and message.extras.get("prefix") is True:
        body["prefix"] = True
    return [body]


def _with_tool_results(message: Message) -> list[Body]:
    """One message for each call that has results here, then what else the message says."""
    results: dict[str, list[ContentPart]] = {}
    others: list[ContentPart] = []
    identifier = next(part.tool_call_id for part in message.parts if isinstance(part, ToolResultPart))
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            identifier = part.tool_call_id
            results.setdefault(identifier, []).append(TextPart(part.content))
        elif message.role == "tool":
            results.setdefault(identifier, []).append(part)
        else:
            others.append(part)
    bodies: list[Body] = []
    for identifier, parts in results.items():
        body: Body = {"role": "tool", "content": _content(parts, message.format)}
        if identifier:
            body["tool_call_id"] = tool_call_id(identifier)
        if message.name is not None:
            body["name"] = message.name
        bodies.append(body)
    if others:
        bodies += _bodies(Message(message.role, tuple(others), format=message.format))
    return bodies


def _content(parts: Sequence[ContentPart], source: str) -> str | list[Body]:
    """A string for a single text; thoughts of other models are left out, and no content is an empty string."""
    shown = [part for part in parts if not isinstance(part, ToolCallPart)]
    shown = [part for part in shown if not isinstance(part, ReasoningPart) or source == FORMAT]
    if all(isinstance(part, TextPart) for part in shown) and len(shown) <= 1:
        return "".join(part.text for part in shown if isinstance(part, TextPart))
    return [_chunk(part) for part in shown]


def _chunk(part: ContentPart) -> Body:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text}
        case RefusalPart(refusal=refusal):
            return {"type": "text", "text": refusal}
        case ImagePart(url=url, detail=None):
            return {"type": "image_url", "image_url": url}
        case ImagePart(url=url, detail=detail):
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        case ReasoningPart():
            return _thinking(part)
        case ForeignPart(format=source, body=body) if source in OWN and body.get("type") in _OWN_PARTS:
            return _own_part(part)
    raise refuse_foreign_part(part, FORMAT)


def _thinking(part: ReasoningPart) -> Body:
    inner = part.extras.get("thinking") or [{"type": "text", "text": part.text}]
    body: Body = {"type": "thinking", "thinking": inner}
    if part.signature:
        body["signature"] = part.signature
    if "closed" in part.extras:
        body["closed"] = part.extras["closed"]
    return body


def _own_part(part: ForeignPart) -> Body:
    """A part as Mistral has it: OpenAI has parts of the same types in other shapes."""
    body = part.body
    if body["type"] == "file" and "file_id" not in body:
        raise refuse_foreign_part(part, FORMAT)  # it is in another provider's keeping
    if body["type"] == "input_audio" and isinstance(body.get("input_audio"), dict):
        return {"type": "input_audio", "input_audio": body["input_audio"].get("data", "")}
    return dict(body)


def _tool_call(call: ToolCallPart) -> Body:
    if call.extras.get("type") == "custom":
        raise cannot_say("tool_calls (a call of type 'custom')", FORMAT)
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": tool_call_id(call.id), "type": "function", "function": function}


def tool_call_id(identifier: str) -> str:
    """The id as Mistral takes it, nine letters or digits; those of other providers are made so, always alike."""
    if _TOOL_CALL_ID.fullmatch(identifier):
        return identifier
    number = int.from_bytes(blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    letters = []
    for _ in range(9):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return "".join(letters)
