"""The events of a streamed chat completion.

Format: https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from typing import Any, cast

import orjson

from send2llm.domain.completion import Delta, ToolCallDelta
from send2llm.domain.message import NO_EXTRAS, Role
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, an_object, optional_string, wrong
from send2llm.infrastructure.formats.openai_chat.reading_messages import FORMAT, reasoning_of
from send2llm.infrastructure.formats.openai_chat.replies import malformed
from send2llm.infrastructure.formats.openai_chat.usage import read_cost, read_usage, write_usage

DONE = b"data: [DONE]\n\n"
"""The end mark of every stream."""

_DELTA_FIELDS = frozenset({"role", "content", "refusal", "tool_calls"})
_PLAIN_DELTA = frozenset({"role", "content"})
_TOOL_CALL_FIELDS = frozenset({"index", "id", "type", "function"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def read_chunk(chunk: Body, data: bytes, raw: bytes) -> list[Delta]:
    """The pieces in one event: mostly one, more if it has several choices; raises ``MalformedReply``.

    ``data`` is the JSON text that ``chunk`` was parsed from, ``raw`` the event with its framing: the first
    piece carries it.
    """
    try:
        return _deltas(chunk, data, raw)
    except WrongFieldError as error:
        raise malformed(error) from None


def _deltas(chunk: Body, data: bytes, raw: bytes) -> list[Delta]:
    choices = chunk.get("choices")
    if choices is None:
        choices = []  # some servers send the usage without the empty list
    if not isinstance(choices, list):
        raise wrong("a list", choices, "choices")
    deltas = []
    for place, choice in enumerate(choices):
        try:
            deltas.append(_delta(an_object(choice)))
        except WrongFieldError as error:
            raise error.within("choices", place) from None
    first = deltas[0] if deltas else Delta()
    for other in deltas[1:]:
        other.raw = b""
        other.format = FORMAT
    first.raw = raw
    first.format = FORMAT
    first.response_id = optional_string(chunk, "id") or ""
    first.response_model = optional_string(chunk, "model") or ""
    usage = chunk.get("usage")
    if usage is not None:
        first.usage = read_usage(usage)
        first.reported_cost_usd = read_cost(usage, data)
    return deltas or [first]


def _delta(choice: Body) -> Delta:
    index = choice.get("index", 0)
    finish_reason = choice.get("finish_reason")
    body = choice.get("delta")
    if not isinstance(index, int):
        raise wrong("an integer", index, "index")
    if finish_reason is not None and not isinstance(finish_reason, str):
        raise wrong("a string", finish_reason, "finish_reason")
    if not body:
        return Delta(index=index, finish_reason=finish_reason)
    try:
        return _filled(an_object(body), index, finish_reason)
    except WrongFieldError as error:
        raise error.within("delta") from None


def _filled(body: Body, index: int, finish_reason: str | None) -> Delta:
    content = body.get("content")
    role = body.get("role")
    delta = Delta(
        text=content if isinstance(content, str) else _text_of(content),
        finish_reason=finish_reason,
        index=index,
        role=cast("Role", role) if isinstance(role, str) and role in _ROLES else None,
    )
    if body.keys() <= _PLAIN_DELTA:
        return delta
    delta.refusal = optional_string(body, "refusal") or ""
    tool_calls = body.get("tool_calls")
    if tool_calls:
        delta.tool_calls = _tool_calls(tool_calls)
    unknown = {name: value for name, value in body.items() if name not in _DELTA_FIELDS and value is not None}
    if unknown:
        for thought in reasoning_of(unknown):
            delta.reasoning, delta.part_extras = thought.text, thought.extras or None
        if unknown:
            delta.extras = unknown
    return delta


def _text_of(content: object) -> str:
    """The text in a list of parts, as Mistral's reasoning models stream it."""
    if content is None:
        return ""
    if not isinstance(content, list):
        raise wrong("a string", content, "content")
    texts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def _tool_calls(pieces: object) -> tuple[ToolCallDelta, ...]:
    if not isinstance(pieces, list):
        raise wrong("a list", pieces, "tool_calls")
    try:
        return tuple([_tool_call(an_object(piece), place) for place, piece in enumerate(pieces)])
    except WrongFieldError as error:
        raise error.within("tool_calls") from None


def _tool_call(piece: Body, place: int) -> ToolCallDelta:
    custom = piece.get("type") == "custom" or "custom" in piece
    key, text = ("custom", "input") if custom else ("function", "arguments")
    index = piece.get("index")
    function = an_object(piece.get(key) or {}, key)
    extras = {name: value for name, value in piece.items() if name not in _TOOL_CALL_FIELDS and value is not None}
    if custom:
        extras = {**extras, "type": "custom"}
        extras.pop("custom")
    return ToolCallDelta(
        index=index if isinstance(index, int) else place,
        id=optional_string(piece, "id") or "",
        name=optional_string(function, "name") or "",
        arguments=optional_string(function, text) or "",
        extras=extras or NO_EXTRAS,
    )


def write_chunk(delta: Delta, *, response_id: str, model: str, created: int) -> bytes:
    """The event for one piece of any format, framing included; ``created`` in seconds since 1970."""
    chunk: dict[str, Any] = {
        "id": response_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [] if is_only_usage(delta) else [_choice(delta)],
    }
    if delta.usage is not None:
        chunk["usage"] = write_usage(delta.usage)
    return b"data: " + orjson.dumps(chunk, default=dict) + b"\n\n"


def is_only_usage(delta: Delta) -> bool:
    """Whether the piece is the report at the end of a stream, which only callers who asked for it get."""
    reports = delta.usage is not None or delta.reported_cost_usd is not None
    return reports and not (delta.finish_reason or delta.role or delta.says_something)


def is_silent(delta: Delta) -> bool:
    """Whether a piece that came in another format has nothing that could be said in this one."""
    return delta.format not in (FORMAT, "") and not (
        delta.text
        or delta.reasoning
        or delta.refusal
        or delta.tool_calls
        or delta.role
        or delta.finish_reason
        or delta.usage
    )


def _choice(delta: Delta) -> Body:
    ours = delta.format in (FORMAT, "")
    body: dict[str, Any] = {}
    if delta.role is not None:
        body["role"] = delta.role
    if delta.text or delta.role is not None:
        body["content"] = delta.text
    if delta.reasoning:
        body["reasoning_content"] = delta.reasoning
    if delta.refusal:
        body["refusal"] = delta.refusal
    if delta.tool_calls:
        body["tool_calls"] = [_written_tool_call(piece, ours=ours) for piece in delta.tool_calls]
    if delta.extras and ours:
        body.update(delta.extras)
    return {"index": delta.index, "delta": body, "logprobs": None, "finish_reason": delta.finish_reason}


def _written_tool_call(piece: ToolCallDelta, *, ours: bool) -> Body:
    custom = piece.extras.get("type") == "custom"
    key, text = ("custom", "input") if custom else ("function", "arguments")
    function = {text: piece.arguments}
    body: dict[str, Any] = {"index": piece.index}
    if piece.id:
        body |= {"id": piece.id, "type": key}
    if piece.name:
        function["name"] = piece.name
    return {**body, key: function, **(piece.extras if ours else {})}
