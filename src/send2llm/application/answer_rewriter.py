"""Changes the answer that a caller gets, whole or piece by piece. What is stored has been taken before."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from send2llm.application.handlers import MakeRewriter, Rewriter, TextKind
from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta
from send2llm.domain.message import ContentPart, RefusalPart, TextPart, ToolCallPart

_Place = tuple[int, TextKind, int]
"""The choice, what it is of the answer, and the index of the tool call."""


class AnswerRewriter:
    """The rewriters of one answer: each text of it goes through all of them in their order."""

    def __init__(self, makers: Sequence[MakeRewriter]) -> None:
        self._makers = makers
        self._open: dict[_Place, tuple[str, _Texts]] = {}
        """The texts that are under way, tool calls with their ids."""

    def whole(self, completion: Completion) -> Completion:
        """The completion as the caller gets it; its ``body`` is gone if anything was changed."""
        answers = tuple(self._answer(answer) for answer in completion.answers)
        return completion if answers == completion.answers else replace(completion, answers=answers, body=b"")

    def pieces(self, batch: Sequence[Delta]) -> Sequence[Delta]:
        """The pieces as the caller gets them, those that complete a text that was held back included."""
        given: list[Delta] = []
        for event in _events(batch):
            rewritten = [other for delta in event for other in self._piece(delta)]
            if rewritten != event:  # the bytes that it came in say what they said before
                rewritten = [replace(delta, raw=None) for delta in rewritten]
            given += rewritten
        return given

    def end(self) -> Sequence[Delta]:
        """What is held back of texts whose end nobody announced."""
        return [delta for choice in sorted({place[0] for place in self._open}) for delta in self._ends(choice)]

    def _answer(self, answer: Answer) -> Answer:
        parts = tuple(self._part(part) for part in answer.message.parts)
        return replace(answer, message=replace(answer.message, parts=parts))

    def _part(self, part: ContentPart) -> ContentPart:
        match part:
            case TextPart(text=text):
                return replace(part, text=_Texts(self._makers, "text").all_of(text))
            case RefusalPart(refusal=text):
                return replace(part, refusal=_Texts(self._makers, "refusal").all_of(text))
            case ToolCallPart(arguments=text):
                return replace(part, arguments=_Texts(self._makers, "arguments").all_of(text))
        return part

    def _piece(self, delta: Delta) -> Iterator[Delta]:
        index = delta.index
        if delta.tool_calls:
            yield from self._replaced_calls(delta)
        changes: dict[str, object] = {}
        if delta.text:
            changes["text"] = self._feed((index, "text", 0), delta.text)
        if delta.refusal:
            changes["refusal"] = self._feed((index, "refusal", 0), delta.refusal)
        if delta.tool_calls:
            changes["tool_calls"] = tuple(
                replace(call, arguments=self._feed((index, "arguments", call.index), call.arguments, call.id))
                for call in delta.tool_calls
            )
        if delta.finish_reason is None:
            yield replace(delta, **changes) if changes else delta  # type: ignore[arg-type] # the names vouch for the types
            return
        if changes:
            yield replace(delta, finish_reason=None, usage=None, **changes)  # type: ignore[arg-type] # as above
            delta = Delta(finish_reason=delta.finish_reason, usage=delta.usage, index=index)
        yield from self._ends(index)
        yield delta

    def _replaced_calls(self, delta: Delta) -> Iterator[Delta]:
        """Some servers give every call of an answer the index 0: another id ends the call before."""
        for call in delta.tool_calls:
            place: _Place = (delta.index, "arguments", call.index)
            if place in self._open and call.id and self._open[place][0] not in ("", call.id):
                yield from self._end(place)

    def _feed(self, place: _Place, piece: str, name: str = "") -> str:
        if place not in self._open:
            self._open[place] = (name, _Texts(self._makers, place[1]))
        return self._open[place][1].feed(piece)

    def _ends(self, choice: int) -> Iterator[Delta]:
        for place in [place for place in self._open if place[0] == choice]:
            yield from self._end(place)

    def _end(self, place: _Place) -> Iterator[Delta]:
        choice, kind, call = place
        rest = self._open.pop(place)[1].end()
        if not rest:
            return
        match kind:
            case "text":
                yield Delta(text=rest, index=choice)
            case "refusal":
                yield Delta(refusal=rest, index=choice)
            case "arguments":
                yield Delta(tool_calls=(ToolCallDelta(call, arguments=rest),), index=choice)


class _Texts:
    """One text on its way through all rewriters."""

    def __init__(self, makers: Sequence[MakeRewriter], kind: TextKind) -> None:
        self._rewriters: list[Rewriter] = [make(kind) for make in makers]

    def feed(self, piece: str) -> str:
        for rewriter in self._rewriters:
            piece = rewriter.feed(piece)
        return piece

    def end(self) -> str:
        rest = ""
        for rewriter in self._rewriters:
            rest = (rewriter.feed(rest) if rest else "") + rewriter.end()
        return rest

    def all_of(self, text: str) -> str:
        return self.feed(text) + self.end()


def _events(batch: Sequence[Delta]) -> Iterator[list[Delta]]:
    """The pieces by the event that they came in: the first of them has its bytes, the others ``b""``."""
    event: list[Delta] = []
    for delta in batch:
        if event and delta.raw != b"":
            yield event
            event = []
        event.append(delta)
    if event:
        yield event
