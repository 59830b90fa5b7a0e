"""Whole replies of providers that speak OpenAI's responses.

Format: https://platform.openai.com/docs/api-reference/responses/object
"""

from collections.abc import Sequence
from typing import Any

from send2llm.domain.completion import Answer, Completion
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import ContentPart, Message, ToolCallPart
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, optional_object, optional_string, wrong
from send2llm.infrastructure.formats.responses.names import FORMAT
from send2llm.infrastructure.formats.responses.reading_items import joined, read_output_item
from send2llm.infrastructure.formats.responses.usage import read_usage


def read_reply(body: bytes, parsed: Body) -> Completion:
    """Read a reply that has ended well, or too early; raises ``MalformedReply``."""
    try:
        parts = read_output(parsed.get("output"))
        return Completion(
            answers=(Answer(Message("assistant", parts, format=FORMAT), finish_reason(parsed, parts)),),
            response_id=optional_string(parsed, "id") or "",
            response_model=optional_string(parsed, "model") or "",
            usage=read_usage(parsed.get("usage")),
            format=FORMAT,
            body=body,
        )
    except WrongFieldError as error:
        raise malformed(error) from None


def read_output(output: object) -> tuple[ContentPart, ...]:
    """The items of an answer as the parts of one message; raises ``WrongFieldError``."""
    if not isinstance(output, list):
        raise wrong("a list", output, "output")
    parts: tuple[ContentPart, ...] = ()
    for place, item in enumerate(output):
        try:
            parts = joined(parts, read_output_item(item))
        except WrongFieldError as error:
            raise error.within("output", place) from None
    return parts


def finish_reason(response: Body, parts: Sequence[ContentPart] = (), *, called: bool = False) -> str:
    """Why the answer ended, in OpenAI's words for chat completions; raises ``WrongFieldError``.

    ``called``: a tool was, which ``parts`` may tell as well.
    """
    if response.get("status") == "incomplete":
        details: dict[str, Any] = optional_object(response, "incomplete_details") or {}
        reason = optional_string(details, "reason")
        if reason in _REASONS:
            return _REASONS[reason]
    return "tool_calls" if called or any(isinstance(part, ToolCallPart) for part in parts) else "stop"


_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


def malformed(error: WrongFieldError) -> MalformedReply:
    """What a wrong field is in something that came from a provider."""
    return MalformedReply(f"The provider's reply is not in the format of OpenAI's responses: {error}")
