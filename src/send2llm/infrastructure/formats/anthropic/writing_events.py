"""A streamed answer, written as Anthropic's events.

Format: https://platform.claude.com/docs/en/build-with-claude/streaming. Pieces that came as such events are passed on
as they came; the writer keeps in mind which block they left open, so that written pieces may follow them.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from send2llm.domain.completion import Delta, ToolCallDelta, Usage
from send2llm.domain.message import ContentPart, ForeignPart
from send2llm.infrastructure.formats.anthropic.errors import write_error
from send2llm.infrastructure.formats.anthropic.names import FORMAT, REDACTED, REPLY
from send2llm.infrastructure.formats.anthropic.replies import write_answer
from send2llm.infrastructure.formats.anthropic.stop_reasons import write_stop
from send2llm.infrastructure.formats.anthropic.usage import write_usage
from send2llm.infrastructure.formats.caller_format import ShownError
from send2llm.infrastructure.formats.fields import Body

Key = tuple[str, int]
"""What tells a block from another: its place in the answer, else its kind, and the number of a tool call."""


def event(kind: str, **fields: Any) -> bytes:
    """One event with its framing."""
    data = orjson.dumps({"type": kind, **fields}, default=dict)
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


class EventWriter:
    """A ``StreamWriter``. Of several answers it writes the first: the format has one only."""

    def __init__(self, *, response_id: str, model: str) -> None:
        self._id = response_id
        self._model = model
        self._begun = self._stopped = self._ended = False
        self._open: Key | None = None
        self._index = -1
        """The number of the block that was begun last."""
        self._calls: dict[int, int] = {}
        """The block of each tool call."""
        self._finish_reason = "stop"
        self._details: Body = {}
        self._usage: Usage | None = None

    def begin(self) -> bytes:
        """Nothing: the provider's own first event may come."""
        return b""

    def write(self, batch: Sequence[Delta]) -> bytes:
        """The events: the provider's own bytes where there are any."""
        written: list[bytes] = []
        for delta in batch:
            if delta.raw is not None and delta.format == FORMAT:
                self._pass_on(delta)
                written.append(delta.raw)
            elif delta.index == 0:
                self._take(delta, written)
        return b"".join(written)

    def end(self) -> bytes:
        """What is missing of the end."""
        if self._ended:
            return b""
        written: list[bytes] = []
        self._begin_message(written)
        if not self._stopped:
            self._close(written)
            stop = write_stop(self._finish_reason, self._details, calls_tools=bool(self._calls))
            further = {name: stop.pop(name) for name in ("context_management",) if name in stop}
            written.append(event("message_delta", delta=stop, usage=write_usage(self._usage), **further))
        written.append(event("message_stop"))
        return b"".join(written)

    def error(self, error: ShownError) -> bytes:
        """Anthropic's error event."""
        return b"event: error\ndata: " + write_error(error) + b"\n\n"

    def _pass_on(self, delta: Delta) -> None:
        """Remember what an event that is passed on begins or ends."""
        raw = delta.raw or b""
        match raw[: raw.find(b"\n")].removeprefix(b"event:").strip():
            case b"message_start":
                self._begun = True
            case b"content_block_start" if delta.part is not None:
                self._index, self._open = delta.part, ("part", delta.part)
                for call in delta.tool_calls:
                    self._calls[call.index] = delta.part
            case b"content_block_stop":
                self._open = None
            case b"message_delta" if delta.finish_reason is not None:
                self._stopped = True
            case b"message_stop":
                self._ended = True

    def _take(self, delta: Delta, written: list[bytes]) -> None:
        self._begin_message(written)
        if delta.finish_reason is not None:
            self._finish_reason = delta.finish_reason
        if delta.usage is not None:
            self._usage = delta.usage
        ours = delta.format == FORMAT
        if ours and delta.extras:
            self._details |= delta.extras.get(REPLY, {})
        if ours and delta.part_extras and delta.part_extras.get("type") == REDACTED:
            whole = {"type": REDACTED, "data": delta.reasoning_signature}
            self._whole_block(whole, written)
            return
        if delta.reasoning or (ours and delta.reasoning_signature):
            self._thought(delta, written, ours=ours)
        said = delta.text or delta.refusal
        citations = delta.part_extras.get("citations", ()) if ours and delta.part_extras else ()
        if said or citations:
            self._require(self._key(delta, "text"), {"type": "text", "text": ""}, written)
        if said:
            self._delta(written, type="text_delta", text=said)
        for citation in citations:
            self._delta(written, type="citations_delta", citation=citation)
        for call in delta.tool_calls:
            self._tool_call(call, written, ours=ours)
        for part in delta.parts:
            self._part(part, written, ours=ours)

    @staticmethod
    def _key(delta: Delta, kind: str) -> Key:
        return (kind, 0) if delta.part is None else ("part", delta.part)

    def _thought(self, delta: Delta, written: list[bytes], *, ours: bool) -> None:
        begin = {"type": "thinking", "thinking": "", "signature": ""}
        self._require(self._key(delta, "thinking"), begin, written)
        if delta.reasoning:
            self._delta(written, type="thinking_delta", thinking=delta.reasoning)
        if ours and delta.reasoning_signature:
            self._delta(written, type="signature_delta", signature=delta.reasoning_signature)

    def _tool_call(self, piece: ToolCallDelta, written: list[bytes], *, ours: bool) -> None:
        index = self._calls.get(piece.index)
        if index is None:
            identifier = piece.id or f"toolu_{self._id.removeprefix('msg_')}_{piece.index}"
            extras = piece.extras if ours else {}
            block = {"type": "tool_use", "id": identifier, "name": piece.name, "input": {}, **extras}
            self._require(("call", piece.index), block, written)
            index = self._calls[piece.index] = self._index
        if piece.arguments:
            self._delta(written, index, type="input_json_delta", partial_json=piece.arguments)

    def _part(self, part: ContentPart, written: list[bytes], *, ours: bool) -> None:
        """A part that comes whole: one that the format has."""
        if not isinstance(part, ForeignPart) or part.format == FORMAT:
            for block in write_answer((part,), ours=ours):
                self._whole_block(block, written)

    def _whole_block(self, block: Body, written: list[bytes]) -> None:
        self._require(("whole", self._index + 1), block, written)
        self._close(written)

    def _require(self, key: Key, block: Body, written: list[bytes]) -> None:
        """Have the block ``key`` open; ``block`` is what it begins with."""
        if self._open == key:
            return
        self._close(written)
        self._index += 1
        self._open = key
        written.append(event("content_block_start", index=self._index, content_block=block))

    def _close(self, written: list[bytes]) -> None:
        if self._open is not None:
            written.append(event("content_block_stop", index=self._index))
            self._open = None

    def _delta(self, written: list[bytes], index: int | None = None, **delta: Any) -> None:
        place = self._index if index is None else index
        written.append(event("content_block_delta", index=place, delta=delta))

    def _begin_message(self, written: list[bytes]) -> None:
        if self._begun:
            return
        self._begun = True
        message: Body = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(None),
        }
        written.append(event("message_start", message=message))
