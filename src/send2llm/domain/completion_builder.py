"""Folds the pieces of a stream into the completion that they make."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta, Usage
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    JsonObject,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
)

ASSUMED_FINISH_REASON = "stop"
"""The finish reason of an answer that ended well in a stream that named none."""

DEFAULT_FORMAT = "openai"
"""The format of an answer whose pieces name none; its extras are in no other."""

_WHOLE = frozenset({"id", "type", "index", "format", "object", "field"})
"""String fields that name something: a later piece replaces an earlier one instead of being appended."""


class CompletionBuilder:
    """Takes ``Delta`` after ``Delta``; ``partial`` and ``completion`` say what they amount to.

    The result has no ``body``: a stream's bytes are no reply.
    """

    __slots__ = ("_choices", "_cost", "_response_id", "_response_model", "_usage")

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._cost: Decimal | None = None
        self._response_id = ""
        self._response_model = ""

    def add(self, delta: Delta) -> None:
        """Take the next piece."""
        if delta.usage is not None:
            self._usage = delta.usage
        if delta.reported_cost_usd is not None:
            self._cost = delta.reported_cost_usd
        if not self._response_id:
            self._response_id = delta.response_id
        if not self._response_model:
            self._response_model = delta.response_model
        choice = self._choices.get(delta.index)
        if choice is None:
            if not _belongs_to_an_answer(delta):
                return
            choice = self._choices[delta.index] = _Choice()
        choice.add(delta)

    def partial(self) -> Completion | None:
        """What there is so far, ``None`` before the first piece of an answer itself."""
        if not any(choice.begun for choice in self._choices.values()):
            return None
        return self._build()

    def completion(self) -> Completion:
        """The whole, after the end of the stream; raises ``MalformedReply`` if there is no answer in it."""
        if not self._choices:
            raise MalformedReply("The provider ended its stream without any answer in it.")
        return self._build()

    def _build(self) -> Completion:
        return Completion(
            answers=tuple(choice.answer() for _, choice in sorted(self._choices.items())),
            response_id=self._response_id,
            response_model=self._response_model,
            usage=self._usage,
            reported_cost_usd=self._cost,
        )


def _belongs_to_an_answer(delta: Delta) -> bool:
    """Whether it does: one with nothing but usage belongs to none."""
    return delta.says_something or delta.role is not None or delta.finish_reason is not None


_RANKS = {"reasoning": 0, "text": 1, "refusal": 2, "tool_call": 3, "whole": 4}
"""The order of the parts of an answer in formats that do not number them."""


class _Choice:
    """One answer in the making."""

    __slots__ = ("_extras", "_finish_reason", "_format", "_open_tool_calls", "_parts", "_role")

    def __init__(self) -> None:
        self._role: Role = "assistant"
        self._parts: dict[tuple[int, int, int], _Part] = {}
        self._open_tool_calls: dict[int, _ToolCall] = {}
        self._extras: dict[str, Any] = {}
        self._finish_reason: str | None = None
        self._format = ""

    @property
    def begun(self) -> bool:
        """Whether the model has said anything: a role alone is nothing."""
        return bool(self._parts or self._extras)

    def add(self, delta: Delta) -> None:
        if delta.text:
            self._of(delta, "text", _Text).add(delta.text, delta.part_extras)
        if delta.format:
            self._format = delta.format
        if delta.role is not None:
            self._role = delta.role
        if delta.finish_reason is not None:
            self._finish_reason = delta.finish_reason
        if delta.extras:
            _merge(self._extras, delta.extras)
        if delta.reasoning or delta.reasoning_signature:
            thought = self._of(delta, "reasoning", _Reasoning)
            thought.add(delta.reasoning, delta.part_extras)
            thought.signature += delta.reasoning_signature
        elif delta.part_extras and not (delta.text or delta.refusal) and delta.part is not None:
            self._more_of(delta)
        if delta.refusal:
            self._of(delta, "refusal", _Refusal).add(delta.refusal, delta.part_extras)
        for piece in delta.tool_calls:
            self._add_tool_call(piece, delta.part)
        for part in delta.parts:
            self._parts[self._place("whole", delta.part, len(self._parts))] = _Whole(part)

    def _of(self, delta: Delta, kind: str, make: "type[_P]") -> "_P":
        """The part that a piece goes on with, or a new one."""
        place = self._place(kind, delta.part, 0)
        part = self._parts.get(place)
        if part is None:
            part = self._parts[place] = make()
        return part  # type: ignore[return-value] # the kind is in the place

    def _more_of(self, delta: Delta) -> None:
        """Extras that come for a part after its text, or before it."""
        for kind in ("text", "reasoning", "refusal"):
            part = self._parts.get(self._place(kind, delta.part, 0))
            if isinstance(part, _Text):
                part.add("", delta.part_extras)
                return
        self._of(delta, "text", _Text).add("", delta.part_extras)

    def _add_tool_call(self, piece: ToolCallDelta, place: int | None) -> None:
        call = self._open_tool_calls.get(piece.index)
        if call is None or call.is_not(piece):
            call = self._open_tool_calls[piece.index] = _ToolCall()
            self._parts[self._place("tool_call", place, len(self._parts))] = call
        call.add(piece)

    @staticmethod
    def _place(kind: str, part: int | None, nth: int) -> tuple[int, int, int]:
        return (-1 if part is None else part, _RANKS[kind], nth)

    def answer(self) -> Answer:
        parts = tuple([part.part() for _, part in sorted(self._parts.items(), key=itemgetter(0))])
        extras = _own(self._extras) or NO_EXTRAS
        message = Message(self._role, parts, extras=extras, format=self._format or DEFAULT_FORMAT)
        return Answer(message, self._finish_reason or ASSUMED_FINISH_REASON)


class _Part(Protocol):
    """A part of an answer in the making."""

    def part(self) -> ContentPart:
        """The part, as far as it has come."""
        ...


_P = TypeVar("_P", bound=_Part)


class _Text:
    """A text that grows, and the base of what else does."""

    __slots__ = ("extras", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.extras: dict[str, Any] = {}

    def add(self, text: str, extras: JsonObject | None) -> None:
        self.pieces.append(text)
        if extras:
            _merge(self.extras, extras)

    def part(self) -> ContentPart:
        return TextPart("".join(self.pieces), extras=_own(self.extras) or NO_EXTRAS)


class _Reasoning(_Text):
    """A thought."""

    __slots__ = ("signature",)

    def __init__(self) -> None:
        super().__init__()
        self.signature = ""

    def part(self) -> ContentPart:
        return ReasoningPart("".join(self.pieces), self.signature, extras=_own(self.extras) or NO_EXTRAS)


class _Refusal(_Text):
    """A refusal."""

    __slots__ = ()

    def part(self) -> ContentPart:
        return RefusalPart("".join(self.pieces), extras=_own(self.extras) or NO_EXTRAS)


class _Whole:
    """A part that came whole."""

    __slots__ = ("_whole",)

    def __init__(self, whole: ContentPart) -> None:
        self._whole = whole

    def part(self) -> ContentPart:
        return self._whole


class _ToolCall:
    """One tool call in the making."""

    __slots__ = ("_arguments", "_extras", "_id", "_name")

    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []
        self._extras: dict[str, Any] = {}

    def is_not(self, piece: ToolCallDelta) -> bool:
        """Whether the piece begins another call: some servers give every call of an answer the index 0."""
        return bool(piece.name and piece.id and self._id and piece.id != self._id)

    def add(self, piece: ToolCallDelta) -> None:
        # Some servers repeat id and name with every piece, so they are taken, not appended.
        self._id = piece.id or self._id
        self._name = piece.name or self._name
        self._arguments.append(piece.arguments)
        if piece.extras:
            _merge(self._extras, piece.extras)

    def part(self) -> ToolCallPart:
        return ToolCallPart(self._id, self._name, "".join(self._arguments), extras=_own(self._extras) or NO_EXTRAS)


def _merge(whole: dict[str, Any], piece: JsonObject) -> None:
    """Add a piece of unknown fields: text is appended, objects and lists grow, anything else is replaced."""
    for key, value in piece.items():
        known = whole.get(key)
        if isinstance(known, str) and isinstance(value, str) and key not in _WHOLE:
            whole[key] = known + value
        elif isinstance(known, dict) and isinstance(value, Mapping):
            _merge(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            _merge_lists(known, value)
        elif value is not None:
            whole[key] = _own(value)


def _merge_lists(whole: list[Any], pieces: Sequence[Any]) -> None:
    """Entries that carry an ``index`` continue the entry of that index; others are new."""
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, Mapping) else None
        same = (entry for entry in whole if isinstance(entry, dict) and entry.get("index") == index)
        known = next(same, None) if index is not None else None
        if known is None:
            whole.append(_own(piece))
        else:
            _merge(known, piece)


def _own(value: Any) -> Any:
    """A copy that may grow without touching the piece that it came from."""
    if isinstance(value, Mapping):
        return {key: _own(item) for key, item in value.items()}
    return [_own(item) for item in value] if isinstance(value, list) else value
