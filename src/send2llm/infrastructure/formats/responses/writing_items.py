"""Messages, written as the items that OpenAI's responses take (``input``).

What was read from that format comes out the same, but for nulls, for ``status``, for empty lists, and for a single
plain text, which has become the string that it means.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from send2llm.domain.continuation import INSTRUCTIONS
from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    ForeignPart,
    ImagePart,
    JsonObject,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import cannot_say, refuse_foreign_part
from send2llm.infrastructure.formats.responses.names import FORMAT
from send2llm.infrastructure.formats.responses.reading_items import (
    CUSTOM_CALL,
    CUSTOM_OUTPUT,
    ITEM,
    KIND,
    REASONING_TEXT,
)

_CONTENT_TYPES = frozenset({"input_text", "input_image", "input_file", "input_audio"})


def write_input(messages: Iterable[Message], *, stored_thoughts: bool = True) -> list[Body]:
    """The items of a request; raises ``RequestRejected`` for what only another format can carry.

    Thoughts go back to their own format only; without ``stored_thoughts`` not even those of which nothing is here but
    an id, because the provider has not kept them.
    """
    writer = _Writer(stored_thoughts=stored_thoughts)
    for message in messages:
        writer.add(message)
    return writer.items


class _Writer:
    """Writes messages one after the other; it has to know which calls were of custom tools."""

    def __init__(self, *, stored_thoughts: bool) -> None:
        self.items: list[Body] = []
        self._custom: set[str] = set()
        self._stored_thoughts = stored_thoughts

    def add(self, message: Message) -> None:
        if message.name is not None:
            raise cannot_say("messages.name", FORMAT)
        ours = message.format == FORMAT
        if message.role == "assistant":
            self._said(message.parts, ours=ours)
        elif message.role == "tool" or any(isinstance(part, ToolResultPart) for part in message.parts):
            self._results(message, ours=ours)
        else:
            self.items.append(_told(message, ours=ours))

    def _said(self, parts: Sequence[ContentPart], *, ours: bool) -> None:
        place = 0
        while place < len(parts):
            part = parts[place]
            if isinstance(part, TextPart | RefusalPart):
                end = _end_of_item(parts, place, (TextPart, RefusalPart))
                self.items.append(_message(parts[place:end], ours=ours))
            elif isinstance(part, ReasoningPart):
                end = _end_of_item(parts, place, (ReasoningPart,))
                thought = _thought(parts[place:end]) if ours else None
                if thought is not None and (self._stored_thoughts or thought.keys() & {"encrypted_content", "content"}):
                    self.items.append(thought)
            else:
                end = place + 1
                self.items.append(self._call(part, ours=ours))
            place = end

    def _call(self, part: ContentPart, *, ours: bool) -> Body:
        if isinstance(part, ForeignPart) and part.format == FORMAT:
            return dict(part.body)
        if not isinstance(part, ToolCallPart):
            raise refuse_foreign_part(part, FORMAT)
        if part.extras.get("type") == "custom":
            self._custom.add(part.id)
        return write_call(part, part.extras if ours else NO_EXTRAS)

    def _results(self, message: Message, *, ours: bool) -> None:
        """One item for each call that has results here, then what else the message says."""
        results: dict[str, list[ContentPart]] = {}
        others: list[ContentPart] = []
        call_id = next((part.tool_call_id for part in message.parts if isinstance(part, ToolResultPart)), None)
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                call_id = part.tool_call_id
                text = TextPart(part.content, extras=part.extras if ours else NO_EXTRAS)
                results.setdefault(call_id, []).append(text)
            elif message.role == "tool" and call_id is not None:
                results.setdefault(call_id, []).append(part)
            else:
                others.append(part)
        extras = message.extras if ours else NO_EXTRAS
        for call_id, parts in results.items():
            self.items.append(self._result(call_id, parts, extras))
        if message.role != "tool" and others:
            self.items.append(_told(Message(message.role, tuple(others), format=message.format), ours=ours))
            return
        for part in others:
            if not (isinstance(part, ForeignPart) and part.format == FORMAT):
                raise refuse_foreign_part(part, FORMAT)
            self.items.append(dict(part.body))

    def _result(self, call_id: str, parts: list[ContentPart], extras: JsonObject) -> Body:
        custom = call_id in self._custom or extras.get("type") == CUSTOM_OUTPUT
        if len(parts) > 1:
            parts = [part for part in parts if part != TextPart("")]
        body = {"type": CUSTOM_OUTPUT if custom else "function_call_output", "call_id": call_id}
        return {**extras, **body, "output": _content(parts, "input_text")}


def _end_of_item(parts: Sequence[ContentPart], begin: int, kinds: tuple[type, ...]) -> int:
    end = begin + 1
    while end < len(parts) and isinstance(parts[end], kinds) and ITEM not in getattr(parts[end], "extras", ()):
        end += 1
    return end


def _told(message: Message, *, ours: bool) -> Body:
    extras = {name: value for name, value in message.extras.items() if name != INSTRUCTIONS} if ours else {}
    parts = message.parts if ours else tuple(map(_plain, message.parts))
    return {"type": "message", **extras, "role": message.role, "content": _content(parts, "input_text")}


def _plain(part: ContentPart) -> ContentPart:
    """A part without the extras of another format."""
    match part:
        case TextPart(text=text, extras=extras) if extras:
            return TextPart(text)
        case ImagePart(url=url, detail=detail, extras=extras) if extras:
            return ImagePart(url, detail)
        case RefusalPart(refusal=refusal, extras=extras) if extras:
            return RefusalPart(refusal)
    return part


def _message(parts: Sequence[ContentPart], *, ours: bool) -> Body:
    if not ours:
        parts = tuple(map(_plain, parts))
    fields = getattr(parts[0], "extras", NO_EXTRAS).get(ITEM, {})
    return {"type": "message", **fields, "role": "assistant", "content": _content(parts, "output_text")}


def write_call(part: ToolCallPart, extras: JsonObject) -> Body:
    """The item of a call."""
    further = {name: value for name, value in extras.items() if name != "type"}
    if part.extras.get("type") == "custom":
        body = {"type": CUSTOM_CALL, "call_id": part.id, "name": part.name, "input": part.arguments}
    else:
        body = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}
    return {**further, **body}


def _thought(parts: Sequence[ContentPart]) -> Body:
    thoughts = [part for part in parts if isinstance(part, ReasoningPart)]
    shown = [part for part in thoughts if part.text]
    item: Body = {
        "type": "reasoning",
        **thoughts[0].extras.get(ITEM, {}),
        "summary": [{"type": "summary_text", "text": part.text} for part in shown if KIND not in part.extras],
    }
    content = [{"type": REASONING_TEXT, "text": part.text} for part in shown if KIND in part.extras]
    if content:
        item["content"] = content
    if thoughts[0].signature:
        item["encrypted_content"] = thoughts[0].signature
    return item


def _content(parts: Sequence[ContentPart], text_type: str) -> Any:
    if len(parts) == 1 and isinstance(parts[0], TextPart) and not parts[0].extras:
        return parts[0].text
    return [_part(part, text_type) for part in parts]


def _part(part: ContentPart, text_type: str) -> Body:
    match part:
        case TextPart(text=text, extras=extras):
            body: Body = {"type": text_type, "text": text}
            if text_type == "output_text":
                body["annotations"] = []  # which has to be there
        case ImagePart(url=url, detail=detail, extras=extras) if text_type == "input_text":
            body = {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case RefusalPart(refusal=refusal, extras=extras) if text_type == "output_text":
            body = {"type": "refusal", "refusal": refusal}
        case ForeignPart(format="responses", body=foreign) if foreign.get("type") in _CONTENT_TYPES:
            return dict(foreign)
        case _:
            raise refuse_foreign_part(part, FORMAT)
    return {**body, **{name: value for name, value in extras.items() if name != ITEM}}
