"""Changes the answer that a caller gets, whole or piece by piece. What is stored has been taken before."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from send2llm.application.handlers import MakeRewriter, Rewriter, TextKind
from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta
from send2llm.domain.message import ContentPart, ReasoningPart, RefusalPart, TextPart, ToolCallPart

_Place = tuple[TextKind, int | None, str]
"""What it is of an answer, which part or tool call, and the id of the call."""


class AnswerRewriter:
    """The rewriters of one answer: each text of it goes through all of them in their order.

    Pieces lose the bytes that they came in: these say what was said before, and a stream is written in one hand.
    """

    def __init__(self, makers: Sequence[MakeRewriter]) -> None:
        self._makers = makers
        self._open: dict[int, tuple[_Place, _Texts]] = {}
        """The text that is under way in each choice; what begins another one ends it."""

    def whole(self, completion: Completion) -> Completion:
        """The completion as the caller gets it; its ``body`` is gone if anything was changed."""
        answers = tuple(self._answer(answer) for answer in completion.answers)
        return completion if answers == completion.answers else replace(completion, answers=answers, body=b"")

    def pieces(self, batch: Sequence[Delta]) -> Sequence[Delta]:
        """The pieces as the caller gets them, what was held back before included."""
        return [rewritten for delta in batch for one in _single(delta) for rewritten in self._piece(one)]

    def end(self) -> Sequence[Delta]:
        """What is held back of texts whose end nobody announced."""
        return [delta for choice in sorted(self._open) for delta in self._ends(choice)]

    def _answer(self, answer: Answer) -> Answer:
        parts = tuple(map(self._part, answer.message.parts))
        return replace(answer, message=replace(answer.message, parts=parts))

    def _part(self, part: ContentPart) -> ContentPart:
        match part:
            case TextPart(text=text):
                return replace(part, text=self._all_of("text", text))
            case RefusalPart(refusal=text):
                return replace(part, refusal=self._all_of("refusal", text))
            case ReasoningPart(text=text):
                return replace(part, text=self._all_of("reasoning", text))
            case ToolCallPart(arguments=text):
                return replace(part, arguments=self._all_of("arguments", text))
        return part

    def _all_of(self, kind: TextKind, text: str) -> str:
        texts = _Texts(self._makers, kind)
        return texts.feed(text) + texts.end()

    def _piece(self, delta: Delta) -> Iterator[Delta]:
        """One piece, which is of one text at most."""
        place, text = _text_of(delta)
        if place is not None:
            known = self._open.get(delta.index)
            if known is None or not _same(known[0], place):
                yield from self._ends(delta.index)
                known = self._open[delta.index] = (place, _Texts(self._makers, place[0]))
            delta = _with_text(delta, known[1].feed(text))
        elif delta.parts or delta.finish_reason is not None:
            yield from self._ends(delta.index)
        yield replace(delta, raw=None, parts=tuple(map(self._part, delta.parts)))

    def _ends(self, choice: int) -> Iterator[Delta]:
        if choice not in self._open:
            return
        (kind, number, _), texts = self._open.pop(choice)
        rest = texts.end()
        if not rest:
            return
        match kind:
            case "text":
                yield Delta(text=rest, index=choice, part=number)
            case "refusal":
                yield Delta(refusal=rest, index=choice, part=number)
            case "reasoning":
                yield Delta(reasoning=rest, index=choice, part=number)
            case "arguments":
                yield Delta(tool_calls=(ToolCallDelta(number or 0, arguments=rest),), index=choice)


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


def _single(delta: Delta) -> Iterator[Delta]:
    """The piece in pieces that are of one text each; nearly always it is already."""
    kinds = bool(delta.text) + bool(delta.refusal) + bool(delta.reasoning) + len(delta.tool_calls)
    kinds += bool(delta.parts) + (delta.finish_reason is not None)
    if kinds < 2:
        yield delta
        return
    yield replace(delta, text="", refusal="", reasoning="", tool_calls=(), parts=(), finish_reason=None, usage=None)
    index, part = delta.index, delta.part
    if delta.reasoning:
        yield Delta(reasoning=delta.reasoning, index=index, part=part)
    if delta.text:
        yield Delta(text=delta.text, index=index, part=part)
    if delta.refusal:
        yield Delta(refusal=delta.refusal, index=index, part=part)
    for call in delta.tool_calls:
        yield Delta(tool_calls=(call,), index=index, part=part, format=delta.format)
    if delta.parts:
        yield Delta(parts=delta.parts, index=index, part=part, format=delta.format)
    if delta.finish_reason is not None or delta.usage is not None:
        yield Delta(finish_reason=delta.finish_reason, usage=delta.usage, index=index)


def _text_of(delta: Delta) -> tuple[_Place | None, str]:
    if delta.text:
        return ("text", delta.part, ""), delta.text
    if delta.reasoning:
        return ("reasoning", delta.part, ""), delta.reasoning
    if delta.tool_calls:
        call = delta.tool_calls[0]
        return ("arguments", call.index, call.id), call.arguments
    if delta.refusal:
        return ("refusal", delta.part, ""), delta.refusal
    return None, ""


def _same(one: _Place, other: _Place) -> bool:
    """Some servers give every call of an answer the index 0, so that ids tell them apart; not every piece has one."""
    return one[:2] == other[:2] and (not other[2] or one[2] == other[2])


def _with_text(delta: Delta, text: str) -> Delta:
    if delta.text:
        return replace(delta, text=text)
    if delta.reasoning:
        return replace(delta, reasoning=text)
    if delta.refusal:
        return replace(delta, refusal=text)
    return replace(delta, tool_calls=(replace(delta.tool_calls[0], arguments=text),))
