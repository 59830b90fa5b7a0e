"""The output of a response as it grows: its items, and the events that tell of them.

Format: https://platform.openai.com/docs/api-reference/responses-streaming. A whole answer is written by the same rules
as a streamed one, piece by piece.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from send2llm.domain.completion import Delta, ToolCallDelta
from send2llm.domain.message import NO_EXTRAS, ContentPart, ForeignPart, ImagePart, JsonObject, ReasoningPart
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.responses.names import FORMAT
from send2llm.infrastructure.formats.responses.reading_items import (
    CUSTOM_CALL,
    ITEM,
    KIND,
    NO_THOUGHT,
    REASONING_TEXT,
)


class _Shape(NamedTuple):
    """Where a kind of text stands in its item, and what its events are called."""

    item: str
    parts: str
    place: str
    text: str
    part_events: str
    text_events: str


_SHAPES: Mapping[str, _Shape] = {
    "output_text": _Shape(
        "message", "content", "content_index", "text", "response.content_part", "response.output_text"
    ),
    "refusal": _Shape("message", "content", "content_index", "refusal", "response.content_part", "response.refusal"),
    "summary_text": _Shape(
        "reasoning",
        "summary",
        "summary_index",
        "text",
        "response.reasoning_summary_part",
        "response.reasoning_summary_text",
    ),
    REASONING_TEXT: _Shape(
        "reasoning", "content", "content_index", "text", "response.content_part", "response.reasoning_text"
    ),
}

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    CUSTOM_CALL: "ctc",
    "image_generation_call": "ig",
}


@dataclass(slots=True)
class _Open:
    """An item that still grows; ``place`` is that of its present ``part`` in the answer (``Delta.part``)."""

    index: int
    item: Body
    part: Body | None = None
    place: int | None = None
    part_index: int = -1
    pieces: list[str] = field(default_factory=list)

    @property
    def is_new(self) -> bool:
        """Whether it is only announced so far: nothing of it has come whose place is known."""
        return self.place is None and not self.pieces


class Output:
    """The items of one answer; events are given without their numbers."""

    def __init__(self, completion_id: UUID) -> None:
        self._name = completion_id.hex
        self.items: list[Body] = []
        self._open: _Open | None = None
        """The message, or the thought, that is being written."""
        self._calls: dict[int, _Open] = {}
        self._announced: str | None = None
        """The id of an item that has been told to begin, and will come whole."""

    def add(self, delta: Delta) -> list[Body]:
        """The events of one piece."""
        ours = delta.format == FORMAT
        extras = (delta.part_extras if ours else None) or NO_EXTRAS
        events: list[Body] = []
        if delta.reasoning or (ours and delta.reasoning_signature):
            kind = REASONING_TEXT if extras.get(KIND) == REASONING_TEXT else "summary_text"
            events += self._think(kind, delta, extras)
        if delta.text:
            events += self._text("output_text", delta.text, delta.part, extras)
        if delta.refusal:
            events += self._text("refusal", delta.refusal, delta.part, extras)
        if extras and not (delta.text or delta.refusal or delta.reasoning or delta.reasoning_signature):
            if extras.get(KIND) == NO_THOUGHT:
                events += self._begun("reasoning", extras, delta.part)
            else:
                events += self._text("output_text", "", delta.part, extras)
        for piece in delta.tool_calls:
            events += self._call(piece, delta.part, piece.extras if ours else NO_EXTRAS)
        for part in delta.parts:
            events += self._whole(part, ours=ours)
        return events

    def close(self, *, status: str = "completed") -> list[Body]:
        """The events of the end; ``status`` is that of a message which the end cuts short."""
        open_ = [*([self._open] if self._open else ()), *self._calls.values()]
        self._open, self._calls = None, {}
        return [event for one in sorted(open_, key=lambda one: one.index) for event in _closed(one, status)]

    def announce(self, event: Body) -> None:
        """Follow an event of somebody else's that begins an item or a part, of which nothing has come yet."""
        if event["type"] == "response.output_item.added":
            item = event["item"]
            if item.get("type") in ("message", "reasoning"):
                self._close_open()
                self._begun(item["type"], {ITEM: {"id": item.get("id")}}, None)
            else:
                self._announced = item.get("id")
        elif event["type"].endswith("part.added") and event["part"]["type"] in _SHAPES and self._open is not None:
            _closed_part(self._open)
            _opened_part(self._open, event["part"]["type"], None)

    # Messages and thoughts

    def _think(self, kind: str, delta: Delta, extras: JsonObject) -> list[Body]:
        signature = delta.reasoning_signature if delta.format == FORMAT else ""
        if delta.reasoning:
            events = self._text(kind, delta.reasoning, delta.part, extras)
        else:
            events = self._begun("reasoning", extras, delta.part)
        if signature and self._open is not None:
            self._open.item["encrypted_content"] = self._open.item.get("encrypted_content", "") + signature
        return events

    def _text(self, kind: str, text: str, place: int | None, extras: JsonObject) -> list[Body]:
        shape = _SHAPES[kind]
        events = self._begun(shape.item, extras, place)
        open_ = self._open
        assert open_ is not None  # noqa: S101 - it has just begun
        if (
            open_.part is not None
            and (open_.part["type"] != kind or place != open_.place)
            and not _goes_on(open_, text, place)
        ):
            events += _closed_part(open_)
        if open_.part is None:
            events += _opened_part(open_, kind, place)
        if text:
            open_.pieces.append(text)
            delta = {"type": f"{shape.text_events}.delta", **_where(open_, shape), "delta": text}
            events.append({**delta, "logprobs": []} if kind == "output_text" else delta)
        if extras:
            events += _told_of_part(open_, extras)
        return events

    def _begun(self, kind: str, extras: JsonObject, place: int | None) -> list[Body]:
        """Begin an item, unless the present one goes on."""
        open_ = self._open
        if open_ is not None and open_.is_new:
            open_.place = place
        begins = ITEM in extras and (open_ is None or place != open_.place)
        if open_ is not None and open_.item["type"] == kind and not begins:
            if ITEM in extras:
                open_.item |= {name: value for name, value in extras[ITEM].items() if name != "id"}
            return []
        events = self._close_open()
        fields = extras.get(ITEM, {})
        empty: Body = {"role": "assistant", "content": []} if kind == "message" else {"summary": []}
        item = {"id": fields.get("id") or self._id(kind), "type": kind, "status": "in_progress", **empty, **fields}
        self._open = _Open(len(self.items), item, place=place)
        return [*events, *self._added(item)]

    def _close_open(self) -> list[Body]:
        open_, self._open = self._open, None
        return [] if open_ is None else list(_closed(open_, "completed"))

    # Calls

    def _call(self, piece: ToolCallDelta, place: int | None, extras: JsonObject) -> list[Body]:
        events: list[Body] = []
        open_ = self._calls.get(piece.index)
        if open_ is not None and piece.name and piece.id and piece.id != open_.item["call_id"] != "":
            events += _closed(self._calls.pop(piece.index), "completed")
            open_ = None
        if open_ is None:
            events += self._before_call(place)
            custom = piece.extras.get("type") == "custom"
            kind, text = (CUSTOM_CALL, "input") if custom else ("function_call", "arguments")
            item: Body = {
                "id": self._id(kind),
                "type": kind,
                "status": "in_progress",
                **{name: value for name, value in extras.items() if name != "type"},
                "call_id": piece.id,
                "name": piece.name,
                text: "",
            }
            open_ = self._calls[piece.index] = _Open(len(self.items), item)
            events += self._added(item)
        open_.item["call_id"] = piece.id or open_.item["call_id"]
        open_.item["name"] = piece.name or open_.item["name"]
        if piece.arguments:
            open_.pieces.append(piece.arguments)
            events.append({"type": f"{_CALL_EVENTS[open_.item['type']]}.delta", **_of(open_), "delta": piece.arguments})
        return events

    def _before_call(self, place: int | None) -> list[Body]:
        """What ends when a call begins.

        Where the format does not number its parts, text may still come behind the calls and belongs to the same
        message, and pieces of several calls may alternate.
        """
        events: list[Body] = []
        if self._open is not None and (place is not None or self._open.item["type"] == "reasoning"):
            events += self._close_open()
        if place is not None:
            for index in list(self._calls):
                events += _closed(self._calls.pop(index), "completed")
        return events

    # Parts that come whole

    def _whole(self, part: ContentPart, *, ours: bool) -> list[Body]:
        if isinstance(part, ReasoningPart) and ours:
            events = self.close()
            return [*events, *self._begun("reasoning", part.extras, None), *self._close_open()]
        if isinstance(part, ForeignPart) and part.format == FORMAT:
            item = dict(part.body)
        elif isinstance(part, ImagePart) and part.url.startswith("data:"):
            kind = "image_generation_call"
            item = {"id": self._id(kind), "type": kind, "status": "completed", "result": part.url.partition(",")[2]}
        else:
            return []  # nobody here could read it
        events = self.close()
        index = len(self.items)
        added = self._added(item)
        if item.get("id") is None or item["id"] != self._announced:
            events += added
        return [*events, {"type": "response.output_item.done", "output_index": index, "item": item}]

    def _added(self, item: Body) -> list[Body]:
        index = len(self.items)
        self.items.append(item)
        shown = {name: list(value) if isinstance(value, list) else value for name, value in item.items()}
        return [{"type": "response.output_item.added", "output_index": index, "item": shown}]

    def _id(self, kind: str) -> str:
        return f"{_PREFIXES[kind]}_{self._name}{len(self.items):02x}"


_CALL_EVENTS = {"function_call": "response.function_call_arguments", CUSTOM_CALL: "response.custom_tool_call_input"}


def _goes_on(open_: _Open, text: str, place: int | None) -> bool:
    """Whether further fields without a text belong to the present part, whatever its kind."""
    return not text and place == open_.place


def _of(open_: _Open) -> Body:
    return {"item_id": open_.item["id"], "output_index": open_.index}


def _where(open_: _Open, shape: _Shape) -> Body:
    return {**_of(open_), shape.place: open_.part_index}


def _opened_part(open_: _Open, kind: str, place: int | None) -> list[Body]:
    shape = _SHAPES[kind]
    parts = open_.item.setdefault(shape.parts, [])
    part: Body = {"type": kind, shape.text: ""}
    if kind == "output_text":
        part |= {"annotations": [], "logprobs": []}
    open_.part, open_.place, open_.part_index, open_.pieces = part, place, len(parts), []
    parts.append(part)
    return [{"type": f"{shape.part_events}.added", **_where(open_, shape), "part": _copy(part)}]


def _copy(part: Body) -> Body:
    return {name: list(value) if isinstance(value, list) else value for name, value in part.items()}


def _told_of_part(open_: _Open, extras: JsonObject) -> list[Body]:
    """Further fields of a part; annotations have an event of their own."""
    part = open_.part
    assert part is not None  # noqa: S101 - it has just been opened
    events: list[Body] = []
    for name, value in extras.items():
        if name in (ITEM, KIND):
            continue
        if name == "annotations":
            for annotation in value:
                place = {**_where(open_, _SHAPES[part["type"]]), "annotation_index": len(part[name])}
                part[name].append(annotation)
                events.append({"type": "response.output_text.annotation.added", **place, "annotation": annotation})
        else:
            part[name] = value
    return events


def _closed_part(open_: _Open) -> list[Body]:
    part = open_.part
    if part is None:
        return []
    shape = _SHAPES[part["type"]]
    where = _where(open_, shape)
    part[shape.text] = text = "".join(open_.pieces)
    done = {"type": f"{shape.text_events}.done", **where, shape.text: text}
    if part["type"] == "output_text":
        done["logprobs"] = part["logprobs"]
    open_.part = None
    return [done, {"type": f"{shape.part_events}.done", **where, "part": _copy(part)}]


def _closed(open_: _Open, status: str) -> Iterable[Body]:
    item = open_.item
    kind = item["type"]
    if kind in _CALL_EVENTS:
        text = "input" if kind == CUSTOM_CALL else "arguments"
        item[text] = "".join(open_.pieces)
        yield {"type": f"{_CALL_EVENTS[kind]}.done", **_of(open_), text: item[text]}
    else:
        yield from _closed_part(open_)
    item["status"] = status
    yield {"type": "response.output_item.done", "output_index": open_.index, "item": item}


def output_of(deltas: Iterable[Delta], completion_id: UUID, *, status: str = "completed") -> list[Any]:
    """The items of a whole answer."""
    output = Output(completion_id)
    for delta in deltas:
        if delta.index == 0:
            output.add(delta)
    output.close(status=status)
    return output.items
