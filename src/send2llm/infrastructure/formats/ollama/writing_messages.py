"""Messages of the domain, written as Ollama's chat has them.

Sources: https://docs.ollama.com/api/chat (``messages``) and ``Message`` in Ollama's ``api/types.go``. A message there
is one text with pictures before it. So one that says more becomes several, as in Ollama's own OpenAI-compatible API.
"""

from collections.abc import Iterable, Iterator

from send2llm.domain.message import (
    ContentPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.data_urls import picture_of
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import refuse_foreign_part
from send2llm.infrastructure.formats.ollama.reading_messages import FORMAT
from send2llm.infrastructure.formats.tool_arguments import arguments_object

_ROLES = {"developer": "system"}


def write_messages(messages: Iterable[Message]) -> list[Body]:
    """The ``messages``; raises ``RequestRejected`` for parts that Ollama's chat cannot carry."""
    written: list[Body] = []
    tools: dict[str, str] = {}
    for message in messages:
        if message.role == "assistant":
            tools |= {call.id: call.name for call in message.tool_calls}
            written += _answer(message)
            continue
        results, others = _results(message, tools)
        written += results
        written += _said(_ROLES.get(message.role, message.role), others, message)
    return written


def _answer(message: Message) -> Iterator[Body]:
    """What the model said is one message, whatever it is made of."""
    ours = message.format == FORMAT
    body: Body = {"role": "assistant", "content": ""}
    for part in message.parts:
        match part:
            case TextPart(text=text) | RefusalPart(refusal=text):
                body["content"] += text
            case ReasoningPart(text=text):
                if ours:
                    body["thinking"] = body.get("thinking", "") + text
            case ToolCallPart():
                calls = body.setdefault("tool_calls", [])
                calls.append(_tool_call(part, len(calls), ours=ours))
            case ImagePart():
                body.setdefault("images", []).append(picture_of(part, FORMAT).base64)
            case _:
                raise refuse_foreign_part(part, FORMAT)
    if len(body) > 2 or body["content"]:
        yield {**message.extras, **body} if ours else body


def _tool_call(call: ToolCallPart, index: int, *, ours: bool) -> Body:
    function = {"index": index, "name": call.name, "arguments": arguments_object(call, FORMAT)}
    return {"id": call.id, "function": function, **(call.extras if ours else {})}


def _results(message: Message, tools: dict[str, str]) -> tuple[list[Body], list[ContentPart]]:
    """One message for each call that has results here, and the parts that belong to none."""
    results: dict[str, Body] = {}
    others: list[ContentPart] = []
    identifier = str(message.extras.get("tool_call_id", ""))
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            identifier = part.tool_call_id
            _add(results, identifier, part.content)
        elif message.role != "tool":
            others.append(part)
        elif isinstance(part, TextPart):
            _add(results, identifier, part.text)
        elif isinstance(part, ImagePart):
            _add(results, identifier, "").setdefault("images", []).append(picture_of(part, FORMAT).base64)
        else:
            raise refuse_foreign_part(part, FORMAT)
    for identifier, result in results.items():
        name = tools.get(identifier) or message.name
        if name:
            result["tool_name"] = name
    return list(results.values()), others


def _add(results: dict[str, Body], identifier: str, text: str) -> Body:
    """Add to what is known of a call's result; several texts stand in lines of their own."""
    result = results.setdefault(identifier, {"role": "tool", "content": "", "tool_call_id": identifier})
    result["content"] = "\n".join(filter(None, (result["content"], text)))
    return result


def _said(role: str, parts: Iterable[ContentPart], message: Message) -> Iterator[Body]:
    """A message for each text, with the pictures before it."""
    extras = message.extras if message.format == FORMAT else {}
    pictures: list[str] = []
    for part in parts:
        match part:
            case ImagePart():
                pictures.append(picture_of(part, FORMAT).base64)
            case TextPart(text=text) | RefusalPart(refusal=text):
                if text:
                    yield {**extras, "role": role, "content": text, **({"images": pictures} if pictures else {})}
                    pictures = []
            case ReasoningPart():
                pass
            case _:
                raise refuse_foreign_part(part, FORMAT)
    if pictures:
        yield {**extras, "role": role, "content": "", "images": pictures}
