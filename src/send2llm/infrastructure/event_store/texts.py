"""Which fields of stored events are what somebody said, and are encrypted; all others are for the books.

Names of models, tokens, costs, times and roles stay readable, and so do labels, because reports count by them, and why
a budget refused a call. What a provider says about a failure may quote what it was sent, and is a text. So is the
digest of a request: who knows the caller's key could try guesses on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

JsonFields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A field that is text; when that is gone, ``erased()`` stands there, or nothing where the field has a default."""

    erased: Callable[[], Any] | None = None


Fields: TypeAlias = "Mapping[str, Fields | list[Fields] | Text]"
"""Fields that are texts, or hold some; a list of one says what each item of a list holds."""


def _erased_parts() -> list[JsonFields]:
    """``ERASED`` of the domain, as it would be stored."""
    return [{"type": "foreign", "format": "send2llm", "body": {"type": "erased"}}]


_MESSAGE: Fields = {"parts": Text(_erased_parts), "name": Text(), "extras": Text()}
_REQUEST: Fields = {name: Text() for name in ("tools", "tool_choice", "response_format", "stop", "extras")}

TEXTS: Mapping[str, Fields] = {
    "conversation.message_added": {"message": _MESSAGE},
    "conversation.context_shortened": {"summary": Text()},
    "conversation.completion_requested": {"parameters": _REQUEST, "request_digest": Text()},
    "conversation.attempt_failed": {"detail": Text(str)},
    "conversation.completion_received": {"answers": [{"message": _MESSAGE}]},
    "conversation.completion_failed": {"detail": Text(str)},
    "conversation.completion_interrupted": {"partial_text": Text()},
    "conversation.feedback_given": {"comment": Text()},
    "conversation.closed": {"reason": Text()},
}
"""By topic, for all schema versions of it so far."""


def take_texts(data: JsonFields, fields: Fields) -> JsonFields:
    """Take the texts out of an event's data, which is changed; gives them at their places, ``{}`` if there are none."""
    taken: JsonFields = {}
    for name, inner in fields.items():
        if name not in data:
            continue
        if isinstance(inner, Text):
            taken[name] = data.pop(name)
        elif isinstance(inner, list):
            items = [take_texts(item, inner[0]) for item in data[name]]
            if any(items):
                taken[name] = items
        elif of_inner := take_texts(data[name], inner):
            taken[name] = of_inner
    return taken


def put_texts(data: JsonFields, taken: JsonFields) -> None:
    """Undo ``take_texts``."""
    for name, value in taken.items():
        if name not in data:
            data[name] = value
        elif isinstance(value, list):
            for item, of_item in zip(data[name], value, strict=True):
                put_texts(item, of_item)
        else:
            put_texts(data[name], value)


def put_erased(data: JsonFields, fields: Fields) -> None:
    """Let data whose texts were taken and are gone be a whole event again."""
    for name, inner in fields.items():
        if isinstance(inner, Text):
            if inner.erased is not None:
                data.setdefault(name, inner.erased())
        elif isinstance(inner, list):
            for item in data.get(name, ()):
                put_erased(item, inner[0])
        elif name in data:
            put_erased(data[name], inner)
