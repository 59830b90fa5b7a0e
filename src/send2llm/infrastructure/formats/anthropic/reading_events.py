"""The events of a streamed answer, read into deltas.

Format: https://platform.claude.com/docs/en/build-with-claude/streaming. Usage: ``message_start`` has what was read,
``message_delta`` all that was written up to then; it is reported with the latter only, because a stream that breaks in
between has not told what it wrote.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from send2llm.domain.completion import Delta, ToolCallDelta
from send2llm.domain.message import NO_EXTRAS, ForeignPart
from send2llm.infrastructure.formats.anthropic.names import FORMAT, REDACTED, REPLY
from send2llm.infrastructure.formats.anthropic.replies import malformed
from send2llm.infrastructure.formats.anthropic.stop_reasons import read_stop
from send2llm.infrastructure.formats.anthropic.usage import read_usage
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)

_TOOL_USE_FIELDS = frozenset({"type", "id", "name", "input"})
_TEXT_FIELDS = frozenset({"type", "text"})


class _Block:
    """A content block in the making; ``call`` is its number among the tool calls."""

    __slots__ = ("body", "call", "json", "kind")

    def __init__(self, kind: str, body: Body, call: int) -> None:
        self.kind = kind
        self.body = body
        self.call = call
        self.json: list[str] = []


class EventReader:
    """Reads the events of one stream."""

    def __init__(self) -> None:
        self._open: dict[int, _Block] = {}
        self._seen: set[int] = set()
        self._calls = 0
        self._usage: Body = {}
        self.finished = False
        """Whether the reason of the end has come."""
        self.done = False
        """Whether the end mark has come."""

    def read(self, body: Body, raw: bytes) -> Sequence[Delta]:
        """The deltas of one event, the first of which carries ``raw``; raises ``MalformedReply``.

        Events that are not known say nothing, and are passed on: Anthropic may add some at any time.
        """
        try:
            kind = required_string(body, "type")
            read = _READERS.get(kind)
            deltas = [Delta()] if read is None else read(self, body)
        except WrongFieldError as error:
            raise malformed(error) from None
        for delta in deltas:
            delta.format = FORMAT
            delta.raw = b""
        deltas[0].raw = raw
        return deltas

    def _message_start(self, body: Body) -> list[Delta]:
        message = an_object(body.get("message"), "message")
        usage = message.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        identifier, model = optional_string(message, "id") or "", optional_string(message, "model") or ""
        return [Delta(role="assistant", response_id=identifier, response_model=model)]

    def _block_start(self, body: Body) -> list[Delta]:
        index = _index(body)
        if index in self._seen:
            raise WrongFieldError("begins a block that has begun already", "index")
        try:
            block = an_object(body.get("content_block"))
            kind = required_string(block, "type")
            started = _Block(kind, block, self._calls)
            delta = self._begun(started, index)
        except WrongFieldError as error:
            raise error.within("content_block") from None
        self._seen.add(index)
        self._open[index] = started
        return [delta]

    def _begun(self, block: _Block, index: int) -> Delta:
        body = block.body
        match block.kind:
            case "text":
                extras = unknown_fields(body, _TEXT_FIELDS)
                return Delta(text=optional_string(body, "text") or "", part=index, part_extras=extras or None)
            case "thinking":
                thought, signature = optional_string(body, "thinking"), optional_string(body, "signature")
                return Delta(reasoning=thought or "", reasoning_signature=signature or "", part=index)
            case "redacted_thinking":
                data = required_string(body, "data")
                return Delta(reasoning_signature=data, part=index, part_extras={"type": REDACTED})
            case "tool_use":
                self._calls += 1
                extras = unknown_fields(body, _TOOL_USE_FIELDS)
                identifier, name = required_string(body, "id"), required_string(body, "name")
                call = ToolCallDelta(block.call, identifier, name, extras=extras or NO_EXTRAS)
                return Delta(tool_calls=(call,), part=index)
            case _:
                return Delta(part=index)

    def _block_delta(self, body: Body) -> list[Delta]:
        index = _index(body)
        block = self._open.get(index)
        if block is None:
            raise WrongFieldError("goes on with a block that has not begun, or is closed", "index")
        try:
            return [_continued(block, index, an_object(body.get("delta")))]
        except WrongFieldError as error:
            raise error.within("delta") from None

    def _block_stop(self, body: Body) -> list[Delta]:
        index = _index(body)
        block = self._open.pop(index, None)
        if block is None:
            raise WrongFieldError("ends a block that has not begun, or is closed", "index")
        if block.kind == "tool_use":
            if any(block.json):
                return [Delta(part=index)]
            given = an_object(block.body.get("input") or {}, "content_block", "input")
            return [Delta(tool_calls=(ToolCallDelta(block.call, arguments=orjson.dumps(given).decode()),), part=index)]
        if block.kind in _GROWING:
            return [Delta(part=index)]
        return [Delta(parts=(ForeignPart(FORMAT, _whole(block)),), part=index)]

    def _message_delta(self, body: Body) -> list[Delta]:
        delta = an_object(body.get("delta"), "delta")
        usage = body.get("usage")
        if isinstance(usage, dict):
            self._usage = {**self._usage, **{name: count for name, count in usage.items() if count is not None}}
        further = {name: body[name] for name in ("context_management",) if body.get(name) is not None}
        if delta.get("stop_reason") is None:
            return [Delta()]
        finish_reason, details = read_stop({**delta, **further})
        self.finished = True
        end = Delta(finish_reason=finish_reason, extras={REPLY: details} if details else NO_EXTRAS)
        return [end, Delta(usage=read_usage(self._usage))]

    def _message_stop(self, _: Body) -> list[Delta]:
        self.done = True
        return [Delta()]


_GROWING = frozenset({"text", "thinking", "redacted_thinking"})

_READERS: Mapping[str, Callable[[EventReader, Body], list[Delta]]] = {
    "message_start": EventReader._message_start,  # noqa: SLF001 - a table of the class's own methods
    "content_block_start": EventReader._block_start,  # noqa: SLF001 - as above
    "content_block_delta": EventReader._block_delta,  # noqa: SLF001 - as above
    "content_block_stop": EventReader._block_stop,  # noqa: SLF001 - as above
    "message_delta": EventReader._message_delta,  # noqa: SLF001 - as above
    "message_stop": EventReader._message_stop,  # noqa: SLF001 - as above
}


def _index(body: Body) -> int:
    index = body.get("index")
    if isinstance(index, int) and not isinstance(index, bool) and index >= 0:
        return index
    raise wrong("an integer that is not negative", index, "index")


def _continued(block: _Block, index: int, delta: Body) -> Delta:
    match required_string(delta, "type"), block.kind:
        case "text_delta", "text":
            return Delta(text=required_string(delta, "text"), part=index)
        case "thinking_delta", "thinking":
            return Delta(reasoning=required_string(delta, "thinking"), part=index)
        case "signature_delta", "thinking":
            return Delta(reasoning_signature=required_string(delta, "signature"), part=index)
        case "citations_delta", "text":
            return Delta(part=index, part_extras={"citations": [an_object(delta.get("citation"), "citation")]})
        case "input_json_delta", "tool_use":
            piece = required_string(delta, "partial_json")
            block.json.append(piece)
            return Delta(tool_calls=(ToolCallDelta(block.call, arguments=piece),), part=index)
        case "input_json_delta", _:
            block.json.append(required_string(delta, "partial_json"))
        case kind, _:
            if block.kind in _GROWING or block.kind == "tool_use":
                if kind in _KNOWN_DELTAS:
                    raise WrongFieldError(f"does not belong to a block of type {block.kind}", "type")
            else:
                _merge(block.body, delta)
    return Delta(part=index)


_KNOWN_DELTAS = frozenset({"text_delta", "thinking_delta", "signature_delta", "citations_delta", "input_json_delta"})


def _merge(whole: Body, delta: Body) -> None:
    """Put a piece into a block of a kind that is not known here: texts grow, other values are replaced."""
    for name, value in delta.items():
        known: Any = whole.get(name)
        if name == "type":
            continue
        whole[name] = known + value if isinstance(known, str) and isinstance(value, str) else value


def _whole(block: _Block) -> Body:
    """A block that was carried without being read, such as a tool that the provider runs, with its input."""
    text = "".join(block.json)
    if not text:
        return block.body
    try:
        return {**block.body, "input": orjson.loads(text)}
    except orjson.JSONDecodeError:
        raise WrongFieldError("is not JSON when put together", "partial_json") from None
