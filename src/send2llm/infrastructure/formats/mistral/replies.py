"""Replies of Mistral's chat completions, whole and in the events of a stream.

Format: ``ChatCompletionResponse`` and ``CompletionChunk`` of ``mistralai.client.models``.
"""

from collections.abc import Sequence
from typing import cast

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta
from send2llm.domain.completion_builder import ASSUMED_FINISH_REASON
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import ContentPart, ReasoningPart, Role, TextPart, no_extras
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_list,
    optional_string,
)
from send2llm.infrastructure.formats.mistral.reading_messages import (
    FORMAT,
    read_content,
    read_message,
    with_written_arguments,
)
from send2llm.infrastructure.formats.openai_chat.usage import read_usage

FAILED = "error"
"""The finish reason of an answer in the midst of which the model failed."""

_GROWING = frozenset({"text", "reasoning", "refusal", "tool_calls"})
"""Kinds of parts that come in pieces."""

_FINISH_REASONS = {"model_length": "length"}
"""In OpenAI's words, where Mistral has others."""


def read_reply(reply: Body) -> Completion:
    """Read a parsed reply; raises ``MalformedReply``."""
    try:
        choices = optional_list(reply, "choices")
        if not choices:
            raise missing("a list with at least one choice", "choices")
        answers = [_answer(choice, place) for place, choice in enumerate(choices)]
        return Completion(
            answers=tuple(answer for _, answer in sorted(answers, key=lambda answer: answer[0])),
            response_id=optional_string(reply, "id") or "",
            response_model=optional_string(reply, "model") or "",
            usage=read_usage(reply.get("usage")),
            format=FORMAT,
        )
    except WrongFieldError as error:
        raise _malformed(error) from None


def _malformed(error: WrongFieldError) -> MalformedReply:
    return MalformedReply(f"The provider's reply is not in the format of Mistral's chat completions: {error}")


def _answer(choice: object, place: int) -> tuple[int, Answer]:
    try:
        choice = an_object(choice)
        index = choice.get("index")
        try:
            message = read_message(an_object(choice.get("message")))
        except WrongFieldError as error:
            raise error.within("message") from None
        reason = _finish_reason(choice) or ASSUMED_FINISH_REASON
    except WrongFieldError as error:
        raise error.within("choices", place) from None
    return index if isinstance(index, int) else place, Answer(message, reason)


def _finish_reason(choice: Body) -> str | None:
    reason = optional_string(choice, "finish_reason")
    return None if reason is None else _FINISH_REASONS.get(reason, reason)


class MistralChunks:
    """Reads the events of one stream: pieces that go on with a thought or a text belong to one part with it."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, str]] = {}

    def read(self, chunk: Body) -> Sequence[Delta]:
        """The pieces in one event; raises ``MalformedReply``."""
        try:
            deltas: list[Delta] = []
            for place, choice in enumerate(optional_list(chunk, "choices") or []):
                try:
                    deltas += self._deltas(an_object(choice))
                except WrongFieldError as error:
                    raise error.within("choices", place) from None
            usage = read_usage(chunk.get("usage"))
            if usage is not None or not deltas:
                deltas.append(Delta(usage=usage))
            for delta in deltas:
                delta.format = FORMAT
                delta.response_id = optional_string(chunk, "id") or ""
                delta.response_model = optional_string(chunk, "model") or ""
        except WrongFieldError as error:
            raise _malformed(error) from None
        return deltas

    def _deltas(self, choice: Body) -> list[Delta]:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        try:
            body = an_object(choice.get("delta") or {})
            parts = () if body.get("content") in (None, "") else read_content(body.get("content"))
            deltas = [self._content(part, index) for part in parts]
            if refusal := optional_string(body, "refusal"):
                deltas.append(Delta(refusal=refusal, part=self._place(index, "refusal"), index=index))
            calls = _tool_calls(with_written_arguments(optional_list(body, "tool_calls")) or [])
            if calls:
                deltas.append(Delta(tool_calls=calls, part=self._place(index, "tool_calls"), index=index))
            role = optional_string(body, "role")
        except WrongFieldError as error:
            raise error.within("delta") from None
        reason = _finish_reason(choice)
        if not deltas:
            deltas.append(Delta(index=index))
        deltas[0].role = cast("Role", role) if role == "assistant" else None
        deltas[-1].finish_reason = reason
        return deltas

    def _content(self, part: ContentPart, index: int) -> Delta:
        match part:
            case TextPart(text=text, extras=extras):
                place = self._place(index, "text")
                return Delta(text=text, part=place, part_extras=extras or None, index=index)
            case ReasoningPart(text=text, signature=signature, extras=extras) if (
                text or signature or self._thinks(index)
            ):
                place = self._place(index, "reasoning")
                return Delta(
                    reasoning=text, reasoning_signature=signature, part=place, part_extras=extras or None, index=index
                )
        return Delta(parts=(part,), part=self._place(index, "whole"), index=index)

    def _thinks(self, index: int) -> bool:
        """Whether a thought goes on that others may add to."""
        return self._places.get(index, (0, ""))[1] == "reasoning"

    def _place(self, index: int, kind: str) -> int:
        """The place of the part that a piece of this kind goes on with, or of a new one."""
        place, open_kind = self._places.get(index, (-1, ""))
        if kind != open_kind or kind not in _GROWING:
            place += 1
            self._places[index] = (place, kind)
        return place


def _tool_calls(pieces: list[object]) -> tuple[ToolCallDelta, ...]:
    calls = []
    for place, piece in enumerate(pieces):
        try:
            body = an_object(piece)
            function = an_object(body.get("function") or {}, "function")
            index = body.get("index")
            calls.append(
                ToolCallDelta(
                    index if isinstance(index, int) else place,
                    optional_string(body, "id") or "",
                    optional_string(function, "name") or "",
                    optional_string(function, "arguments") or "",
                    no_extras(),
                )
            )
        except WrongFieldError as error:
            raise error.within("tool_calls", place) from None
    return tuple(calls)
