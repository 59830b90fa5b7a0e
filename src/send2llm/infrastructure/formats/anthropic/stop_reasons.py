"""Why an answer ended, both ways.

https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons. Where several of Anthropic's reasons are
one of the domain's, Anthropic's own stays with the message (``REPLY`` among its extras).
"""

from collections.abc import Mapping

from send2llm.domain.message import JsonObject, Message
from send2llm.infrastructure.formats.anthropic.names import FORMAT, REPLY
from send2llm.infrastructure.formats.fields import Body, optional_string

_READ: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_WRITTEN: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_DETAILS = ("stop_sequence", "stop_details", "container", "context_management", "diagnostics")


def read_stop(body: Body) -> tuple[str, JsonObject]:
    """The finish reason, and what else was said about the end that the domain has no words for."""
    reason = optional_string(body, "stop_reason") or "end_turn"
    finish_reason = _READ.get(reason, "stop")
    details = {name: body[name] for name in _DETAILS if body.get(name) is not None}
    if _WRITTEN[finish_reason] != reason:
        details["stop_reason"] = reason
    return finish_reason, details


def write_stop(finish_reason: str, details: JsonObject, *, calls_tools: bool) -> Body:
    """``stop_reason``, ``stop_sequence`` and what else belongs to them, with the ``details`` as they were read.

    Some servers say that an answer just stopped although it calls tools (``calls_tools``); callers wait for a word.
    """
    reason = _WRITTEN.get(finish_reason, "end_turn")
    if calls_tools and reason == "end_turn":
        reason = "tool_use"
    return {"stop_reason": reason, "stop_sequence": None, **details}


def details_of(message: Message) -> JsonObject:
    """What ``read_stop`` has left with a message."""
    details: JsonObject = message.extras.get(REPLY, {}) if message.format == FORMAT else {}
    return details
