"""Gemini's ``contents`` and ``systemInstruction``, read into messages.

Format: https://ai.google.dev/api/caching#Content.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby

import orjson

from send2llm.domain.message import NO_EXTRAS, ContentPart, ImagePart, Message, Role, ToolCallPart, ToolResultPart
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_list,
    optional_object,
    optional_string,
    required_string,
    unknown_fields,
    wrong,
)
from send2llm.infrastructure.formats.gemini.reading_parts import FORMAT, read_part

_CONTENT_FIELDS = frozenset({"role", "parts"})
_RESULT_FIELDS = frozenset({"id", "name", "response", "parts"})


def read_messages(body: Body) -> list[Message]:
    """The messages of a request; raises ``WrongFieldError``."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise missing("a list with at least one content", "contents")
    calls = _Calls()
    messages: list[Message] = []
    instruction = body.get("systemInstruction")
    if instruction is not None:
        try:
            messages += _content(an_object(instruction), "system", calls)
        except WrongFieldError as error:
            raise error.within("systemInstruction") from None
    for place, one in enumerate(contents):
        try:
            content = an_object(one)
            messages += _content(content, _role(content), calls)
        except WrongFieldError as error:
            raise error.within("contents", place) from None
    return messages


def _role(content: Body) -> Role:
    role = optional_string(content, "role") or "user"
    if role == "model":
        return "assistant"
    if role in ("user", "function"):
        return "user"
    raise WrongFieldError(f"must be user or model, not {role[:40]!r}", "role")


def _content(content: Body, role: Role, calls: "_Calls") -> Iterable[Message]:
    """One message, or several: each result of a tool is one of its own."""
    bodies = optional_list(content, "parts") or []
    extras = unknown_fields(content, _CONTENT_FIELDS) or NO_EXTRAS
    read: list[tuple[bool, ContentPart, tuple[ContentPart, ...]]] = []
    for place, body in enumerate(bodies):
        try:
            read.append(_part(an_object(body), role, calls))
        except WrongFieldError as error:
            raise error.within("parts", place) from None
    for is_result, parts in groupby(read, lambda part: part[0]):
        if is_result:
            yield from (Message("tool", (part, *beside), extras=extras, format=FORMAT) for _, part, beside in parts)
        else:
            yield Message(role, tuple(part for _, part, _ in parts), extras=extras, format=FORMAT)


def _part(body: Body, role: Role, calls: "_Calls") -> tuple[bool, ContentPart, tuple[ContentPart, ...]]:
    if role == "user" and body.get("functionResponse") is not None:
        try:
            return (True, *_result(an_object(body["functionResponse"]), calls))
        except WrongFieldError as error:
            raise error.within("functionResponse") from None
    part = read_part(body, calls.new_id())
    if isinstance(part, ToolCallPart):
        calls.add(part)
    return False, part, ()


def _result(body: Body, calls: "_Calls") -> tuple[ToolResultPart, tuple[ContentPart, ...]]:
    name = required_string(body, "name")
    response = optional_object(body, "response") or {}
    identifier = optional_string(body, "id") or calls.answered(name)
    extras = unknown_fields(body, _RESULT_FIELDS)
    if calls.name_of(identifier) != name:
        extras["name"] = name
    said = next(iter(response.values())) if len(response) == 1 else None
    failed = "error" in response
    if not isinstance(said, str) or not (failed or "output" in response):
        extras["response"] = response
        said = orjson.dumps(response).decode()
    beside = tuple(read_part(part, "") for part in optional_list(body, "parts") or ())
    if not all(isinstance(part, ImagePart) for part in beside):
        raise wrong("a list of pictures", body["parts"], "parts")
    return ToolResultPart(identifier, said, extras=extras or NO_EXTRAS, is_error=failed), beside


class _Calls:
    """The calls so far: those without an id are numbered, and results without one belong to the oldest of that name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._waiting: defaultdict[str, list[str]] = defaultdict(list)

    def new_id(self) -> str:
        return f"call_{len(self._names)}"

    def add(self, call: ToolCallPart) -> None:
        self._names[call.id] = call.name
        self._waiting[call.name].append(call.id)

    def name_of(self, identifier: str) -> str | None:
        return self._names.get(identifier)

    def answered(self, name: str) -> str:
        waiting = self._waiting[name]
        return waiting.pop(0) if waiting else ""
