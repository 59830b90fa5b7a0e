"""Folds the pieces of a stream into the completion that they make."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta, Usage
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import (
    NO_EXTRAS,
    ContentPart,
    JsonObject,
    Message,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
)

ASSUMED_FINISH_REASON = "stop"
"""The finish reason of an answer that ended well in a stream that named none."""

_WHOLE = frozenset({"id", "type", "index", "format", "object"})
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
            if not _says_something(delta):
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


def _says_something(delta: Delta) -> bool:
    """Whether the piece belongs to an answer (one with nothing but usage belongs to none)."""
    return bool(
        delta.text
        or delta.role is not None
        or delta.finish_reason is not None
        or delta.tool_calls
        or delta.refusal
        or delta.extras
    )


class _Choice:
    """One answer in the making."""

    __slots__ = ("_extras", "_finish_reason", "_open_tool_calls", "_refusal", "_role", "_text", "_tool_calls")

    def __init__(self) -> None:
        self._role: Role = "assistant"
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._tool_calls: list[_ToolCall] = []
        self._open_tool_calls: dict[int, _ToolCall] = {}
        self._extras: dict[str, Any] = {}
        self._finish_reason: str | None = None

    @property
    def begun(self) -> bool:
        """Whether the model has said anything: a role alone is nothing."""
        return bool(self._text or self._refusal or self._tool_calls or self._extras)

    def add(self, delta: Delta) -> None:
        if delta.text:
            self._text.append(delta.text)
        if delta.refusal:
            self._refusal.append(delta.refusal)
        if delta.role is not None:
            self._role = delta.role
        if delta.finish_reason is not None:
            self._finish_reason = delta.finish_reason
        for piece in delta.tool_calls:
            call = self._open_tool_calls.get(piece.index)
            if call is None or call.is_not(piece):
                call = self._open_tool_calls[piece.index] = _ToolCall()
                self._tool_calls.append(call)
            call.add(piece)
        if delta.extras:
            _merge(self._extras, delta.extras)

    def answer(self) -> Answer:
        parts: list[ContentPart] = []
        if self._text:
            parts.append(TextPart("".join(self._text)))
        if self._refusal:
            parts.append(RefusalPart("".join(self._refusal)))
        parts += [call.part() for call in self._tool_calls]
        message = Message(self._role, tuple(parts), extras=_own(self._extras) or NO_EXTRAS)
        return Answer(message, self._finish_reason or ASSUMED_FINISH_REASON)


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
