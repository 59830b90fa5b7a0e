"""Messages of the domain, written as Cohere's chat has them.

Sources: https://docs.cohere.com/v2/reference/chat (``messages``) and
https://docs.cohere.com/v2/docs/tool-use-overview (results of tools). Cohere wants the system's messages first
(https://docs.cohere.com/v2/reference/errors), and pictures from users only.
"""

from collections.abc import Iterable, Iterator

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
from send2llm.infrastructure.formats.cohere.reading_messages import FORMAT, PLAN
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import refuse_foreign_part, require_text
from send2llm.infrastructure.formats.json_objects import json_object


def write_messages(messages: Iterable[Message]) -> list[Body]:
    """The ``messages``; raises ``RequestRejected`` for parts that Cohere's chat cannot carry."""
    first: list[Body] = []
    others: list[Body] = []
    for message in messages:
        if message.role in ("system", "developer"):
            require_text(message, FORMAT)
            first += _said("system", message)
        elif message.role == "assistant":
            require_text(message, FORMAT, ToolCallPart)
            others += _said("assistant", message)
        else:
            others += _results(message)
            others += _said("user", message)
    return first + others


def _results(message: Message) -> Iterator[Body]:
    """One message for each call that has results here; what else stands in a message of a tool belongs to them."""
    results: dict[str, list[Body]] = {}
    identifier = str(message.extras.get("tool_call_id", ""))
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            identifier = part.tool_call_id
            results.setdefault(identifier, []).append(_result(part.content))
        elif message.role == "tool":
            if not isinstance(part, TextPart):
                raise refuse_foreign_part(part, FORMAT)
            results.setdefault(identifier, []).append(_result(part.text))
    for identifier, content in results.items():
        yield {"role": "tool", "tool_call_id": identifier, "content": content}


def _result(text: str) -> Body:
    """A JSON object is a document, which the model can cite; anything else is text."""
    data = json_object(text)
    if data:
        return {"type": "document", "document": {"data": data}}
    return {"type": "text", "text": text}


def _said(role: str, message: Message) -> Iterator[Body]:
    """What the message says beside results of tools, if anything."""
    ours = message.format == FORMAT
    body: Body = {"role": role}
    content: list[Body] = []
    for part in message.parts:
        if isinstance(part, ToolResultPart) or message.role == "tool":
            continue
        if isinstance(part, ToolCallPart):
            body.setdefault("tool_calls", []).append(_call(part, ours=ours))
        elif isinstance(part, ReasoningPart) and part.extras.get("field") == PLAN:
            if ours:
                body[PLAN] = body.get(PLAN, "") + part.text
        else:
            content += _content(part, ours=ours)
    if len(content) == 1 and content[0].keys() == {"type", "text"} and not ours:
        body["content"] = content[0]["text"]
    elif content:
        body["content"] = content
    if len(body) > 1:
        yield {**message.extras, **body} if ours else body


def _content(part: ContentPart, *, ours: bool) -> list[Body]:
    """No block at all for what says nothing here: an empty text, a thought of another format."""
    match part:
        case TextPart(text=text) if text:
            block: Body = {"type": "text", "text": text}
        case RefusalPart(refusal=refusal) if refusal:
            block = {"type": "text", "text": refusal}
        case ReasoningPart(text=text) if ours:
            block = {"type": "thinking", "thinking": text}
        case TextPart() | RefusalPart() | ReasoningPart():
            return []
        case ImagePart(url=url, detail=detail):
            return [
                {"type": "image_url", "image_url": {"url": url} if detail is None else {"url": url, "detail": detail}}
            ]
        case ForeignPart(format="cohere"):
            return [dict(part.body)]
        case _:
            raise refuse_foreign_part(part, FORMAT)
    return [{**block, **part.extras} if ours else block]


def _call(call: ToolCallPart, *, ours: bool) -> Body:
    body: Body = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }
    return {**body, **call.extras} if ours else body
