"""The events of a streamed answer of Cohere's chat.

Source: https://docs.cohere.com/v2/docs/streaming and https://docs.cohere.com/v2/docs/tool-use-streaming. Texts and
tool calls are numbered apart from each other; here they get their places as they come.
"""

from collections.abc import Callable

from send2llm.domain.completion import Delta, ToolCallDelta
from send2llm.infrastructure.formats.cohere.reading_messages import FORMAT, PLAN
from send2llm.infrastructure.formats.cohere.replies import FINISH_REASONS, malformed
from send2llm.infrastructure.formats.cohere.usage import read_usage
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_integer,
    optional_string,
    required_string,
)


class ChatEvents:
    """Reads the events of one answer in their order."""

    def __init__(self) -> None:
        self.ended = False
        self._places: dict[tuple[str, int], int] = {}
        self._readers: dict[str, Callable[[Body, Body], list[Delta]]] = {
            "message-start": self._begin,
            "content-start": self._content,
            "content-delta": self._content,
            "tool-plan-delta": self._plan,
            "tool-call-start": self._call,
            "tool-call-delta": self._call,
            "citation-start": self._citation,
            "message-end": self._end,
        }

    def read(self, event: Body, raw: bytes) -> list[Delta]:
        """The pieces in one event, at least one; raises ``MalformedReply``."""
        try:
            kind = required_string(event, "type")
            reader = self._readers.get(kind)
            deltas = reader(event, _object(event, "delta")) if reader else []
        except WrongFieldError as error:
            raise malformed(error) from None
        deltas = deltas or [Delta()]
        for delta in deltas:
            delta.raw, delta.format = b"", FORMAT
        deltas[0].raw = raw
        return deltas

    def _begin(self, event: Body, _: Body) -> list[Delta]:
        return [Delta(role="assistant", response_id=optional_string(event, "id") or "")]

    def _content(self, event: Body, delta: Body) -> list[Delta]:
        content = _object(_object(delta, "message"), "content")
        text, thought = optional_string(content, "text") or "", optional_string(content, "thinking") or ""
        if not text and not thought:
            return []
        return [Delta(text=text, reasoning=thought, part=self._place("content", event))]

    def _plan(self, event: Body, delta: Body) -> list[Delta]:
        plan = optional_string(_object(delta, "message"), PLAN) or ""
        if not plan:
            return []
        begun = ("plan", 0) in self._places
        return [Delta(reasoning=plan, part=self._place("plan", event), part_extras=None if begun else {"field": PLAN})]

    def _call(self, event: Body, delta: Body) -> list[Delta]:
        call = _object(_object(delta, "message"), "tool_calls")
        function = _object(call, "function")
        piece = ToolCallDelta(
            optional_integer(event, "index") or 0,
            optional_string(call, "id") or "",
            optional_string(function, "name") or "",
            optional_string(function, "arguments") or "",
        )
        return [Delta(tool_calls=(piece,), part=self._place("call", event))]

    def _citation(self, _: Body, delta: Body) -> list[Delta]:
        return [Delta(extras={"citations": [_object(_object(delta, "message"), "citations")]})]

    def _end(self, _: Body, delta: Body) -> list[Delta]:
        self.ended = True
        reason = required_string(delta, "finish_reason")
        end = Delta(finish_reason=FINISH_REASONS.get(reason, "stop"))
        usage = read_usage(delta.get("usage"))
        return [end] if usage is None else [end, Delta(usage=usage)]

    def _place(self, kind: str, event: Body) -> int:
        number = 0 if kind == "plan" else optional_integer(event, "index") or 0
        return self._places.setdefault((kind, number), len(self._places))


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    return {} if value is None else an_object(value, name)
