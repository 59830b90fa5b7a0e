"""The events of a streamed answer: each is a whole ``GenerateContentResponse``, and continues the one before.

Format: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent, with ``alt=sse``. There is no
end mark: a stream is whole when each of its answers has a finish reason.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from send2llm.domain.completion import Delta, ToolCallDelta, Usage
from send2llm.domain.message import ContentPart, ReasoningPart, TextPart, ToolCallPart
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_list,
    optional_object,
    optional_string,
)
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT
from send2llm.infrastructure.formats.gemini.replies import (
    CallIds,
    finish_reason,
    index_of,
    malformed,
    read_parts,
    refuse_blocked,
    write_finish_reason,
)
from send2llm.infrastructure.formats.gemini.target import Target
from send2llm.infrastructure.formats.gemini.usage import read_usage, write_usage
from send2llm.infrastructure.formats.gemini.writing_parts import write_part


class StreamedAnswers:
    """Reads the events of one stream in their order."""

    def __init__(self) -> None:
        self._answers: dict[int, _Streamed] = {}
        self._usage: Usage | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every answer that began has a finish reason, and there is one."""
        return bool(self._answers) and all(answer.finished for answer in self._answers.values())

    def read(self, event: Body, raw: bytes) -> list[Delta]:
        """The pieces in one event, of which the first carries its bytes; raises ``ProviderError``.

        Each event counts the tokens so far; only the last count is a report.
        """
        refuse_blocked(event)
        try:
            response_id = optional_string(event, "responseId") or ""
            model = optional_string(event, "modelVersion") or ""
            deltas = self._pieces(event, response_id)
        except WrongFieldError as error:
            raise malformed(error) from None
        self._usage = read_usage(event.get("usageMetadata")) or self._usage
        if self.is_whole and self._usage is not None:
            deltas.append(Delta(usage=self._usage))
        deltas = deltas or [Delta()]
        for delta in deltas:
            delta.format = FORMAT
            delta.raw = b""
        first = deltas[0]
        first.raw = raw
        first.response_id, first.response_model = response_id, model
        return deltas

    def _pieces(self, event: Body, response_id: str) -> list[Delta]:
        deltas: list[Delta] = []
        for place, body in enumerate(optional_list(event, "candidates") or []):
            try:
                candidate = an_object(body)
                index = index_of(candidate, place)
                if index not in self._answers:
                    self._answers[index] = _Streamed(index, response_id)
                    deltas.append(Delta(role="assistant", index=index))
                deltas += self._answers[index].pieces(candidate)
            except WrongFieldError as error:
                raise error.within("candidates", place) from None
        return deltas


class _Streamed:
    """One answer: texts that follow each other are one part, up to the signature that closes it."""

    def __init__(self, index: int, response_id: str) -> None:
        self._index = index
        self._ids = CallIds(response_id, index)
        self._place = -1
        self._open: type[ContentPart] | None = None
        self.finished = False

    def pieces(self, candidate: Body) -> Iterable[Delta]:
        content = optional_object(candidate, "content") or {}
        for part in read_parts(content, self._ids):
            delta = self._piece(part)
            if delta is not None:
                yield delta
        reason = finish_reason(candidate, called=self._ids.count > 0)
        if reason is not None:
            self.finished = True
            yield Delta(finish_reason=reason, index=self._index)

    def _piece(self, part: ContentPart) -> Delta | None:
        match part:
            case TextPart(text=text, extras=extras):
                if not text and not extras:
                    return None
                place = self._continued(TextPart, closed=bool(extras))
                return Delta(text=text, index=self._index, part=place, part_extras=extras or None)
            case ReasoningPart(text=text, signature=signature, extras=extras):
                place = self._continued(ReasoningPart, closed=bool(signature or extras))
                thought = Delta(reasoning=text, index=self._index, part=place, part_extras=extras or None)
                thought.reasoning_signature = signature
                return thought
            case ToolCallPart(id=id_, name=name, arguments=arguments, extras=extras):
                call = ToolCallDelta(self._ids.count - 1, id_, name, arguments, extras)
                return Delta(tool_calls=(call,), index=self._index, part=self._continued(None))
            case _:
                return Delta(parts=(part,), index=self._index, part=self._continued(None))

    def _continued(self, kind: type[ContentPart] | None, *, closed: bool = False) -> int:
        """The place of a piece of the ``kind``: that of the piece before, if it goes on with that one."""
        if kind is None or self._open is not kind:
            self._place += 1
        self._open = None if closed else kind
        return self._place


def write_event(deltas: Sequence[Delta], target: Target) -> bytes:
    """One event for pieces of any format that came together, framing included."""
    candidates: dict[int, Body] = {}
    body: dict[str, Any] = {}
    for delta in deltas:
        if delta.usage is not None:
            body["usageMetadata"] = write_usage(delta.usage)
        parts = [part for part in (write_part(one, target, ours=True) for one in _parts(delta)) if part is not None]
        if parts or delta.finish_reason or delta.role:
            content = {"parts": [], "role": "model"}
            candidate = candidates.setdefault(delta.index, {"content": content, "index": delta.index})
            candidate["content"]["parts"] += parts
            if delta.finish_reason:
                candidate["finishReason"] = write_finish_reason(delta.finish_reason)
        if delta.response_id:
            body |= {"responseId": delta.response_id, "modelVersion": delta.response_model}
    if candidates:
        body["candidates"] = list(candidates.values())
    return b"data: " + orjson.dumps(body, default=dict) + b"\r\n\r\n"


def _parts(delta: Delta) -> Iterable[ContentPart]:
    ours = delta.format == FORMAT
    extras = (delta.part_extras or {}) if ours else {}
    if delta.reasoning or delta.reasoning_signature:
        yield ReasoningPart(delta.reasoning, delta.reasoning_signature if ours else "", extras=extras)
    elif delta.text or extras:
        yield TextPart(delta.text, extras=extras)
    if delta.refusal:
        yield TextPart(delta.refusal)
    for call in delta.tool_calls:
        yield ToolCallPart(call.id, call.name, call.arguments, extras=call.extras if ours else {})
    yield from delta.parts
