"""Puts placeholders in the places of what the detectors find."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from send2llm.handlers import (
    ContentPart,
    FieldPaths,
    ForeignPart,
    JsonObject,
    Message,
    ReasoningPart,
    RefusalPart,
    SensitiveData,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.handlers.redaction.detectors import Find
from send2llm.infrastructure.handlers.redaction.numbers import Span
from send2llm.infrastructure.handlers.redaction.vault import FEW, PLACEHOLDER, Vault

_ROUNDS = 10
"""What was next to something that is a placeholder now may be found in the next look; so often is looked at most."""


class Redactor:
    """Redacts messages, each by what was said before it, so that the same history always comes out the same."""

    def __init__(self, detectors: Mapping[str, Find], refused: Iterable[str], *, answers: bool) -> None:
        """``refused`` are kinds that are not masked; ``answers``: assistants' messages are searched as well."""
        self._detectors = detectors
        self._refused = frozenset(refused)
        self._answers = answers

    def redacted(self, messages: Sequence[Message], vault: Vault, places: FieldPaths) -> Sequence[Message]:
        """The messages with placeholders; raises ``SensitiveData``."""
        return [
            self._message(message, vault, partial(places.of, messages, place)) for place, message in enumerate(messages)
        ]

    def fields(self, extras: JsonObject, name: str, vault: Vault) -> JsonObject:
        """Fields of a request with placeholders in the texts of one of them; raises ``SensitiveData``."""
        if name not in extras:
            return extras
        return {**extras, name: with_texts(extras[name], lambda text, **_: self.text(text, vault, lambda: name))}

    def text(self, text: str, vault: Vault, where: Callable[[], str]) -> str:
        """A text with placeholders; raises ``SensitiveData``, which tells ``where`` it stands."""
        vault.reserve(text)
        for _ in range(_ROUNDS):
            # A value that is known is hidden wherever it stands, also where no detector would take it for one.
            masked = vault.hidden(self._look(text, vault, where))
            if masked == text:
                break
            text = masked
        return text

    def _message(self, message: Message, vault: Vault, where: Callable[[int], str]) -> Message:
        new = message.role != "assistant" or self._answers
        parts = tuple(
            self._part(part, vault, partial(where, place), new=new) for place, part in enumerate(message.parts)
        )
        return message if parts == message.parts else replace(message, parts=parts)

    def _part(self, part: ContentPart, vault: Vault, where: Callable[[], str], *, new: bool) -> ContentPart:
        def masked(text: str, *, in_json: bool = False) -> str:
            if new:
                return self.text(vault.hidden(text, in_json=in_json) if in_json else text, vault, where)
            # What an assistant said is stored as it said it: only what was taken out of it is put back.
            known = vault.hidden(text, in_json=in_json)
            if len(vault) > FEW:
                known = self._look(known, vault, where, only_known=True)
            vault.reserve(known)
            return known

        return _with_text(part, masked)

    def _look(self, text: str, vault: Vault, where: Callable[[], str], *, only_known: bool = False) -> str:
        taken = _Taken(match.span() for match in (PLACEHOLDER.finditer(text) if "[" in text else ()))
        found: list[tuple[int, int, str]] = []
        for kind, find in self._detectors.items():
            for begin, end in find(text):
                if only_known and not vault.knows(text[begin:end]):
                    continue
                if taken.take(begin, end):
                    if kind in self._refused:
                        raise SensitiveData(kind, where())
                    found.append((begin, end, kind))
        pieces, last = [], 0
        for begin, end, kind in sorted(found):
            pieces += [text[last:begin], vault.placeholder(kind, text[begin:end])]
            last = end
        return "".join([*pieces, text[last:]]) if found else text


class _Taken:
    """Spans of a text that do not overlap."""

    def __init__(self, spans: Iterable[Span]) -> None:
        """``spans`` are in their order."""
        self._spans = list(spans)

    def take(self, begin: int, end: int) -> bool:
        """Add a span, unless a part of it is taken."""
        place = bisect_left(self._spans, (begin, end))
        neighbours = self._spans[max(0, place - 1) : place + 1]
        if any(begin < one[1] and one[0] < end for one in neighbours):
            return False
        self._spans.insert(place, (begin, end))
        return True


def _with_text(part: ContentPart, change: Callable[..., str]) -> ContentPart:
    match part:
        case TextPart(text=text):
            return part if (new := change(text)) == text else replace(part, text=new)
        case ToolResultPart(content=text):
            return part if (new := change(text)) == text else replace(part, content=new)
        case ToolCallPart(arguments=text):
            return part if (new := change(text, in_json=True)) == text else replace(part, arguments=new)
        case RefusalPart(refusal=text):
            return part if (new := change(text)) == text else replace(part, refusal=new)
        case ReasoningPart(text=text):
            return part if (new := change(text)) == text else replace(part, text=new)
        case ForeignPart(body=body):
            return part if (seen := with_texts(body, change)) == body else replace(part, body=seen)
    return part


NO_TEXT = frozenset(
    {
        *("type", "id", "call_id", "item_id", "tool_use_id", "tool_call_id", "file_id", "container_id", "response_id"),
        *("media_type", "mime_type", "format", "role", "status", "encrypted_content", "signature", "image_url"),
        *("file_data", "partial_image_b64", "input_audio", "tokens"),
    }
)
"""Fields of parts whose values are names, or bytes, and no text of anybody's."""


def with_texts(value: Any, change: Callable[..., str]) -> Any:
    """A JSON value with its texts changed, but for names and bytes."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [with_texts(one, change) for one in value]
    if not isinstance(value, Mapping):
        return value
    bytes_inside = {"data", "bytes"} if value.get("type") not in ("text", "content") else frozenset()
    return {
        name: one if name in NO_TEXT or name in bytes_inside else with_texts(one, change) for name, one in value.items()
    }


def placeholders_in(messages: Iterable[Message]) -> frozenset[str]:
    """All that look like placeholders in the texts of messages."""
    found: set[str] = set()

    def look(text: str, *, in_json: bool = False) -> str:  # noqa: ARG001 - placeholders look the same in JSON
        if "[" in text:
            found.update(PLACEHOLDER.findall(text))
        return text

    for message in messages:
        for part in message.parts:
            _with_text(part, look)
    return frozenset(found)
