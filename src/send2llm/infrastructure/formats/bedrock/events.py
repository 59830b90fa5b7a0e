"""The events of a streamed answer of Converse.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html. Blocks are
numbered; texts, thoughts and arguments come in pieces, and what only makes sense whole is kept until its block ends.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from send2llm.domain.completion import Delta, ToolCallDelta
from send2llm.domain.message import ContentPart, ForeignPart
from send2llm.infrastructure.formats.bedrock.blocks import FORMAT, REDACTED, picture
from send2llm.infrastructure.formats.bedrock.replies import FINISH_REASONS, malformed
from send2llm.infrastructure.formats.bedrock.usage import read_usage
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_string,
    required_string,
    wrong,
)


class ConverseEvents:
    """Reads the events of one answer in their order."""

    def __init__(self) -> None:
        self.stopped = False
        self.reported = False
        self._calls: dict[int, int] = {}
        self._without_input: set[int] = set()
        self._pictures: dict[int, tuple[str, bytes]] = {}
        self._ciphertexts: dict[int, bytes] = {}
        self._foreign: dict[int, Body] = {}
        self._readers: dict[str, Callable[[Body], list[Delta]]] = {
            "messageStart": lambda _: [Delta(role="assistant")],
            "contentBlockStart": self._start,
            "contentBlockDelta": self._delta,
            "contentBlockStop": self._stop,
            "messageStop": self._end,
            "metadata": self._report,
        }

    def read(self, kind: str, body: Any, raw: bytes) -> list[Delta]:
        """The pieces in the event of that ``kind``, at least one; raises ``MalformedReply``."""
        reader = self._readers.get(kind)
        try:
            deltas = reader(an_object(body)) if reader else []
        except WrongFieldError as error:
            raise malformed(error.within(kind)) from None
        deltas = deltas or [Delta()]
        for delta in deltas:
            delta.format, delta.raw = FORMAT, b""
        deltas[0].raw = raw
        return deltas

    def _start(self, body: Body) -> list[Delta]:
        place, start = _place(body), an_object(body.get("start") or {}, "start")
        if place in self._calls or place in self._foreign or place in self._pictures:
            raise WrongFieldError("is the number of a block that has begun already", "contentBlockIndex")
        try:
            if "toolUse" in start and "type" not in an_object(start["toolUse"], "toolUse"):
                use = start["toolUse"]
                number = self._calls[place] = len(self._calls)
                self._without_input.add(place)
                call = ToolCallDelta(number, required_string(use, "toolUseId"), required_string(use, "name"))
                return [Delta(tool_calls=(call,), part=place)]
            if "image" in start:
                self._pictures[place] = (required_string(an_object(start["image"], "image"), "format"), b"")
            elif start:
                self._foreign[place] = start
        except WrongFieldError as error:
            raise error.within("start") from None
        return []

    def _delta(self, body: Body) -> list[Delta]:
        place, delta = _place(body), an_object(body.get("delta"), "delta")
        try:
            return self._piece(place, delta)
        except WrongFieldError as error:
            raise error.within("delta") from None

    def _piece(self, place: int, delta: Body) -> list[Delta]:
        if "text" in delta:
            return [Delta(text=required_string(delta, "text"), part=place)]
        if "reasoningContent" in delta:
            return self._thought(place, an_object(delta["reasoningContent"], "reasoningContent"))
        if "citation" in delta:
            return [Delta(part=place, part_extras={"citations": [an_object(delta["citation"], "citation")]})]
        if "image" in delta and place in self._pictures:
            source = an_object(an_object(delta["image"], "image").get("source") or {}, "source")
            kind, begun = self._pictures[place]
            self._pictures[place] = (kind, begun + _bytes(source, "bytes"))
        elif place in self._foreign:
            _go_on(self._foreign[place], delta)
        elif "toolUse" in delta:
            return self._arguments(place, an_object(delta["toolUse"], "toolUse"))
        return []

    def _arguments(self, place: int, use: Body) -> list[Delta]:
        if place not in self._calls:
            raise missing("behind the start of its block", "toolUse")
        arguments = required_string(use, "input")
        if arguments:
            self._without_input.discard(place)
        return [Delta(tool_calls=(ToolCallDelta(self._calls[place], arguments=arguments),), part=place)]

    def _thought(self, place: int, thought: Body) -> list[Delta]:
        if REDACTED in thought:
            self._ciphertexts[place] = self._ciphertexts.get(place, b"") + _bytes(thought, REDACTED)
            return []
        text, signature = optional_string(thought, "text") or "", optional_string(thought, "signature") or ""
        return [Delta(reasoning=text, reasoning_signature=signature, part=place)]

    def _stop(self, body: Body) -> list[Delta]:
        place = _place(body)
        if place in self._without_input:
            self._without_input.remove(place)
            return [Delta(tool_calls=(ToolCallDelta(self._calls[place], arguments="{}"),), part=place)]
        if place in self._ciphertexts:
            text = b64encode(self._ciphertexts.pop(place)).decode()
            return [Delta(reasoning_signature=text, part=place, part_extras={REDACTED: True})]
        part: ContentPart
        if place in self._pictures:
            kind, data = self._pictures.pop(place)
            part = picture(kind, b64encode(data).decode())
        elif place in self._foreign:
            part = ForeignPart(FORMAT, self._foreign.pop(place))
        else:
            return []
        return [Delta(parts=(part,), part=place)]

    def _end(self, body: Body) -> list[Delta]:
        self.stopped = True
        return [Delta(finish_reason=FINISH_REASONS.get(required_string(body, "stopReason"), "stop"))]

    def _report(self, body: Body) -> list[Delta]:
        self.reported = True
        return [Delta(usage=read_usage(body.get("usage")))]


def _place(body: Body) -> int:
    place = body.get("contentBlockIndex")
    if not isinstance(place, int) or isinstance(place, bool):
        raise wrong("an integer", place, "contentBlockIndex")
    return place


def _bytes(body: Body, name: str) -> bytes:
    try:
        return b64decode(required_string(body, name), validate=True)
    except ValueError:
        raise WrongFieldError("must be base64", name) from None


def _go_on(block: Body, delta: Body) -> None:
    """Add a piece to a block that the provider's own tools made: their input is text, their results are a list."""
    for kind, piece in delta.items():
        body = block.setdefault(kind, {})
        if isinstance(piece, list):
            body.setdefault("content", []).extend(piece)
        elif isinstance(piece, dict):
            for name, value in piece.items():
                body[name] = body[name] + value if type(value) is str is type(body.get(name)) else value
