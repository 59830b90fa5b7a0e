"""Messages of the domain, written as OpenAI's chat completions have them.

What was read from that format comes out the same, but for nulls, which are gone, and for a single text
part, which has become the string that it means.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from send2llm.domain.message import (
    ContentPart,
    EmbeddingPart,
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
from send2llm.infrastructure.formats.foreign import refuse_foreign_part
from send2llm.infrastructure.formats.openai_chat.reading_messages import FORMAT, LEGACY_ROLE, REASONING_FIELDS

Audience = Literal["provider", "caller", "reader"]
"""Who gets a message: a provider, which has to understand all of it; a caller, who gets the answer that there is, with
thoughts of any format and without parts that only another format has; or a reader, who sees everything."""


def write_messages(messages: Iterable[Message], audience: Audience = "provider") -> list[Body]:
    """The ``messages`` of a request; fields that Send2LLM does not know go with those that came in this format.

    Raises ``RequestRejected`` for parts that only another format can carry.
    """
    bodies: list[Body] = []
    for message in messages:
        parts = message.parts
        extras = message.format == FORMAT
        if len(parts) == 1 and type(parts[0]) is TextPart and not parts[0].extras and message.name is None:
            body: Body = {"role": message.role, "content": parts[0].text}
            if extras and message.extras:
                body.update(message.extras)
            bodies.append(body)
        elif any(type(part) is ToolResultPart for part in parts):
            bodies += _with_tool_results(message, audience, extras=extras)
        else:
            bodies.append(write_message(message, audience))
    return bodies


def write_message(message: Message, audience: Audience = "provider") -> Body:
    """One message, without tool results."""
    extras = message.format == FORMAT
    body: Body = {"role": message.role, "content": _content(message.parts, audience, extras=extras)}
    if extras or audience != "provider":
        for part in message.parts:
            if isinstance(part, ReasoningPart) and (part.text or extras):
                field = part.extras.get("field", REASONING_FIELDS[0]) if extras else REASONING_FIELDS[0]
                body[field] = body.get(field, "") + part.text
    if message.name is not None:
        body["name"] = message.name
    refusals = [part.refusal for part in message.parts if isinstance(part, RefusalPart) and _is_field(part)]
    if refusals:
        body["refusal"] = "".join(refusals)
    tool_calls = [_tool_call(part, extras=extras) for part in message.parts if isinstance(part, ToolCallPart)]
    if tool_calls:
        body["tool_calls"] = tool_calls
    if extras and message.extras:
        body.update(message.extras)
    return body


def _with_tool_results(message: Message, audience: Audience, *, extras: bool) -> list[Body]:
    """One message for each call that has results here, then what else the message says.

    Parts of other kinds in a ``tool`` message belong to the result beside them.
    """
    results: dict[str, list[ContentPart]] = {}
    others: list[ContentPart] = []
    identifier = next(part.tool_call_id for part in message.parts if isinstance(part, ToolResultPart))
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            identifier = part.tool_call_id
            results.setdefault(identifier, []).append(TextPart(part.content, extras=part.extras))
        elif message.role == "tool":
            results.setdefault(identifier, []).append(part)
        else:
            others.append(part)
    bodies: list[Body] = []
    for identifier, parts in results.items():
        body = write_message(Message("tool", tuple(parts), message.name, format=message.format), audience)
        if identifier:
            body["tool_call_id"] = identifier
        else:
            body["role"] = LEGACY_ROLE
        bodies.append(body)
    if others:
        plain = Message(message.role, tuple(others), message.name, format=message.format)
        bodies.append(write_message(plain, audience))
    if extras and message.extras:
        bodies[-1].update(message.extras)
    return bodies


def _content(parts: Sequence[ContentPart], audience: Audience, *, extras: bool) -> str | list[Body] | None:
    """A string for a single plain text, ``None`` for no content at all: some servers insist on the field."""
    content = [part for part in parts if type(part) not in (ToolCallPart, ReasoningPart) and not _is_field(part)]
    if audience == "caller":
        content = [part for part in content if not isinstance(part, ForeignPart) or part.format == FORMAT]
    if not content:
        return None
    first = content[0]
    if len(content) == 1 and isinstance(first, TextPart) and not (extras and first.extras):
        return first.text
    if audience == "caller" and all(isinstance(part, TextPart) and not (extras and part.extras) for part in content):
        return "".join(part.text for part in content if isinstance(part, TextPart))  # an answer is one string
    return [
        _shown(part) if audience == "reader" and _is_foreign(part) else _part(part, extras=extras) for part in content
    ]


def _is_foreign(part: ContentPart) -> bool:
    return isinstance(part, EmbeddingPart) or (isinstance(part, ForeignPart) and part.format != FORMAT)


def _shown(part: ContentPart) -> Body:
    if isinstance(part, ForeignPart):
        return {"type": "foreign", "format": part.format, "body": part.body}
    return {"type": part.type, "vector": part.vector} if isinstance(part, EmbeddingPart) else {"type": part.type}


def _is_field(part: ContentPart) -> bool:
    """Whether it is a refusal in the message's own field, and not among the content parts."""
    return isinstance(part, RefusalPart) and not part.extras


def _part(part: ContentPart, *, extras: bool) -> Body:
    match part:
        case TextPart():
            body: Body = {"type": "text", "text": part.text}
        case ImagePart():
            image = {"url": part.url} if part.detail is None else {"url": part.url, "detail": part.detail}
            if extras and part.extras:
                image |= part.extras.get("image_url", {})
                return {"type": "image_url", **part.extras, "image_url": image}
            return {"type": "image_url", "image_url": image}
        case RefusalPart():
            body = {"type": "refusal", "refusal": part.refusal}
        case ForeignPart(format="openai"):
            return dict(part.body)
        case _:
            raise refuse_foreign_part(part, FORMAT)
    if extras and part.extras:
        body.update(part.extras)
    return body


def _tool_call(call: ToolCallPart, *, extras: bool) -> Body:
    further = call.extras
    if further.get("type") == "custom":
        key, function = "custom", {"name": call.name, "input": call.arguments}
    else:
        key, function = "function", {"name": call.name, "arguments": call.arguments}
    if not extras or not further:
        return {"id": call.id, "type": key, key: function}
    function |= further.get(key, {})
    return {"id": call.id, "type": key, **further, key: function}
