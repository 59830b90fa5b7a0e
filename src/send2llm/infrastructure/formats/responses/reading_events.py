"""The events of a streamed response, read as they come from a provider.

Format: https://platform.openai.com/docs/api-reference/responses-streaming. Every event gives at least one piece, so
that its bytes can be passed on. What a server did not send piece by piece is taken from the event that ends it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from send2llm.domain.completion import Delta, ToolCallDelta
from send2llm.domain.message import NO_EXTRAS, ForeignPart, JsonObject, ReasoningPart
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_integer,
    optional_list,
    optional_string,
    required_string,
)
from send2llm.infrastructure.formats.responses.names import FORMAT
from send2llm.infrastructure.formats.responses.reading_items import (
    CUSTOM_CALL,
    ITEM,
    ITEM_FIELDS,
    KIND,
    NO_THOUGHT,
    REASONING_TEXT,
    item_fields,
    text_fields,
)
from send2llm.infrastructure.formats.responses.replies import finish_reason, malformed
from send2llm.infrastructure.formats.responses.usage import read_usage

_ENDS = frozenset({"response.completed", "response.incomplete"})
_CALLS = {"function_call": "arguments", CUSTOM_CALL: "input"}


class _Item:
    """What is known of an item that has begun: its further fields, until they are told, and how much has come."""

    __slots__ = ("call", "came", "fields", "marked", "parts", "type")

    def __init__(self, kind: str, fields: JsonObject, call: int | None) -> None:
        self.type = kind
        self.fields = fields
        self.marked = False
        self.call = call
        self.parts: dict[tuple[str, int], int] = {}
        """The place of each part in the answer, by its kind and index in the item."""
        self.came: dict[int, int] = {}
        """Characters that have come, by place."""


class EventsReader:
    """Reads the events of one stream."""

    def __init__(self) -> None:
        self.ended = False
        """Whether the last event has come."""
        self._items: dict[int, _Item] = {}
        self._places = 0
        self._calls = 0
        self._last = ""
        """The type of the item that holds the last part, where it can hold several."""

    def read(self, event: Body, raw: bytes) -> list[Delta]:
        """The pieces in one event, the first of which carries its bytes; raises ``MalformedReply``."""
        try:
            deltas = self._deltas(event)
        except WrongFieldError as error:
            raise malformed(error) from None
        deltas = deltas or [Delta()]
        for delta in deltas:
            delta.raw, delta.format = b"", FORMAT
        deltas[0].raw = raw
        return deltas

    def _deltas(self, event: Body) -> list[Delta]:
        kind = required_string(event, "type")
        if kind in _ENDS:
            return self._end(an_object(event.get("response"), "response"))
        if kind in ("response.created", "response.queued", "response.in_progress"):
            response = an_object(event.get("response"), "response")
            role: Any = "assistant" if kind == "response.created" else None
            return [_named(Delta(role=role), response)]
        read = _EVENTS.get(kind)
        return [] if read is None else read(self, event)

    # Items

    def _item_added(self, event: Body) -> list[Delta]:
        item = event.get("item")
        return [] if item is None else self._begin(_index(event), an_object(item, "item"))

    def _begin(self, index: int, body: Body) -> list[Delta]:
        kind = optional_string(body, "type") or ""
        fields = item_fields(body, ITEM_FIELDS.get(kind, frozenset()))
        call = None
        if kind in _CALLS:
            call, self._last = self._calls, kind
            self._calls += 1
        item = self._items[index] = _Item(kind, fields, call)
        if call is None:
            return []
        place = self._place(item, (kind, 0))
        text = optional_string(body, _CALLS[kind]) or ""
        item.came[place] = len(text)
        extras = {**fields, "type": "custom"} if kind == CUSTOM_CALL else fields
        piece = ToolCallDelta(
            call, required_string(body, "call_id"), required_string(body, "name"), text, extras or NO_EXTRAS
        )
        return [Delta(tool_calls=(piece,), part=place)]

    def _item_done(self, event: Body) -> list[Delta]:
        return self._finish(_index(event), an_object(event.get("item"), "item"))

    def _finish(self, index: int, body: Body) -> list[Delta]:
        """What has not come of an item piece by piece."""
        deltas = [] if index in self._items else self._begin(index, body)
        item = self._items[index]
        if item.type == "message":
            return deltas + self._contents(item, body, "content")
        if item.type == "reasoning":
            return deltas + self._finish_thought(item, body)
        if item.call is not None:
            return deltas + self._rest_of_call(item, optional_string(body, _CALLS[item.type]) or "")
        if item.type and not item.parts:
            self._last = item.type
            return [*deltas, Delta(parts=(ForeignPart(FORMAT, body),), part=self._place(item, (item.type, 0)))]
        return deltas

    def _finish_thought(self, item: _Item, body: Body) -> list[Delta]:
        deltas = self._contents(item, body, "summary") + self._contents(item, body, "content")
        signature = optional_string(body, "encrypted_content") or ""
        if signature:
            first = min(item.parts.values(), default=None)
            place = self._place(item, ("summary_text", 0)) if first is None else first
            return [*deltas, Delta(reasoning_signature=signature, part=place, part_extras=self._mark(item, NO_EXTRAS))]
        if not item.parts:
            extras = self._mark(item, {KIND: NO_THOUGHT}) or {}
            return [*deltas, Delta(parts=(ReasoningPart(extras=extras),), part=self._place(item, ("none", 0)))]
        return deltas

    def _contents(self, item: _Item, body: Body, field: str) -> list[Delta]:
        deltas: list[Delta] = []
        for index, part in enumerate(optional_list(body, field) or ()):
            part = an_object(part, "item", field, index)  # noqa: PLW2901 - the same, and sure to be an object
            kind = optional_string(part, "type") or ""
            if kind in _TEXTS:
                deltas += self._rest(item, kind, index, optional_string(part, _TEXTS[kind]) or "")
                deltas += self._further(item, kind, index, part)
            elif (kind, index) not in item.parts:
                place = self._place(item, (kind, index))
                deltas.append(Delta(parts=(ForeignPart(FORMAT, part),), part=place))
        return deltas

    # Parts

    def _place(self, item: _Item, key: tuple[str, int]) -> int:
        place = item.parts.get(key)
        if place is None:
            place = item.parts[key] = self._places
            self._places += 1
        return place

    def _mark(self, item: _Item, extras: JsonObject) -> JsonObject | None:
        """The extras with those of the item, if they have not been told."""
        if item.marked:
            return extras or None
        item.marked = True
        same, self._last = self._last == item.type, item.type
        return {**extras, ITEM: item.fields} if item.fields or same else extras or None

    def _piece(self, item: _Item, kind: str, index: int, text: str) -> list[Delta]:
        place = self._place(item, (kind, index))
        new = place not in item.came
        item.came[place] = item.came.get(place, 0) + len(text)
        if kind == "refusal":
            return [Delta(refusal=text, part=place, part_extras=self._mark(item, NO_EXTRAS))] if text else []
        if kind == "output_text":
            return [Delta(text=text, part=place, part_extras=self._mark(item, NO_EXTRAS))]
        extras = {KIND: REASONING_TEXT} if kind == REASONING_TEXT and new else NO_EXTRAS
        if not text:
            item.came.pop(place, None)
            return []
        return [Delta(reasoning=text, part=place, part_extras=self._mark(item, extras))]

    def _rest(self, item: _Item, kind: str, index: int, text: str) -> list[Delta]:
        """The rest of a text that is whole now; all of it if nothing has come."""
        place = item.parts.get((kind, index))
        came = 0 if place is None else item.came.get(place, 0)
        if place is not None and place in item.came and len(text) <= came:
            return []
        return self._piece(item, kind, index, text[came:])

    def _further(self, item: _Item, kind: str, index: int, part: Body) -> list[Delta]:
        """Annotations and the like, told once."""
        if kind != "output_text" or (kind, -1 - index) in item.parts:
            return []
        extras = text_fields(part)
        if not extras:
            return []
        item.parts[kind, -1 - index] = place = item.parts[kind, index]
        return [Delta(part=place, part_extras=extras)]

    def _part_added(self, event: Body) -> list[Delta]:
        part = an_object(event.get("part"), "part")
        kind = optional_string(part, "type") or ""
        if kind != "output_text":
            return []
        return self._piece(self._item(event), kind, _index(event, "content_index"), optional_string(part, "text") or "")

    def _part_done(self, event: Body) -> list[Delta]:
        part = an_object(event.get("part"), "part")
        kind = optional_string(part, "type") or ""
        if kind not in _TEXTS:
            return []
        item, index = self._item(event), _index(event, "content_index")
        text = optional_string(part, _TEXTS[kind]) or ""
        return self._rest(item, kind, index, text) + self._further(item, kind, index, part)

    # Calls

    def _call_piece(self, item: _Item, text: str) -> list[Delta]:
        if item.call is None:
            raise WrongFieldError("must be that of a call", "output_index")
        place = item.parts[item.type, 0]
        item.came[place] += len(text)
        return [Delta(tool_calls=(ToolCallDelta(item.call, arguments=text),), part=place)]

    def _rest_of_call(self, item: _Item, text: str) -> list[Delta]:
        came = item.came.get(item.parts[item.type, 0], 0) if item.call is not None else 0
        return self._call_piece(item, text[came:]) if len(text) > came else []

    # The end

    def _end(self, response: Body) -> list[Delta]:
        deltas: list[Delta] = []
        for index, item in enumerate(optional_list(response, "output") or ()):
            if index not in self._items:
                deltas += self._finish(index, an_object(item, "response", "output", index))
        self.ended = True
        end = Delta(
            finish_reason=finish_reason(response, called=self._calls > 0), usage=read_usage(response.get("usage"))
        )
        return [*deltas, _named(end, response)]

    def _item(self, event: Body) -> _Item:
        index = _index(event)
        item = self._items.get(index)
        if item is None:
            raise WrongFieldError(f"is {index}, of which no item has been told", "output_index")
        return item


def _named(delta: Delta, response: Body) -> Delta:
    delta.response_id = optional_string(response, "id") or ""
    delta.response_model = optional_string(response, "model") or ""
    return delta


def _index(event: Body, name: str = "output_index") -> int:
    return optional_integer(event, name) or 0


_TEXTS = {"output_text": "text", "refusal": "refusal", "summary_text": "text", REASONING_TEXT: "text"}


def _text(kind: str, index: str, field: str, *, done: bool) -> Callable[[EventsReader, Body], list[Delta]]:
    def read(reader: EventsReader, event: Body) -> list[Delta]:
        item, text = reader._item(event), required_string(event, field)  # noqa: SLF001 - it is a method by its nature
        take = reader._rest if done else reader._piece  # noqa: SLF001 - as above
        return take(item, kind, _index(event, index), text)

    return read


def _call(field: str, *, done: bool) -> Callable[[EventsReader, Body], list[Delta]]:
    def read(reader: EventsReader, event: Body) -> list[Delta]:
        item, text = reader._item(event), required_string(event, field)  # noqa: SLF001 - as above
        return reader._rest_of_call(item, text) if done else reader._call_piece(item, text)  # noqa: SLF001 - as above

    return read


_EVENTS: Mapping[str, Callable[[EventsReader, Body], list[Delta]]] = {
    "response.output_item.added": EventsReader._item_added,  # noqa: SLF001 - the table of its own methods
    "response.output_item.done": EventsReader._item_done,  # noqa: SLF001 - as above
    "response.content_part.added": EventsReader._part_added,  # noqa: SLF001 - as above
    "response.content_part.done": EventsReader._part_done,  # noqa: SLF001 - as above
    "response.output_text.delta": _text("output_text", "content_index", "delta", done=False),
    "response.output_text.done": _text("output_text", "content_index", "text", done=True),
    "response.refusal.delta": _text("refusal", "content_index", "delta", done=False),
    "response.refusal.done": _text("refusal", "content_index", "refusal", done=True),
    "response.reasoning_summary_text.delta": _text("summary_text", "summary_index", "delta", done=False),
    "response.reasoning_summary_text.done": _text("summary_text", "summary_index", "text", done=True),
    "response.reasoning_text.delta": _text(REASONING_TEXT, "content_index", "delta", done=False),
    "response.reasoning_text.done": _text(REASONING_TEXT, "content_index", "text", done=True),
    "response.function_call_arguments.delta": _call("delta", done=False),
    "response.function_call_arguments.done": _call("arguments", done=True),
    "response.custom_tool_call_input.delta": _call("delta", done=False),
    "response.custom_tool_call_input.done": _call("input", done=True),
}
