"""Replies of Cohere's chat that come whole.

Source: https://docs.cohere.com/v2/reference/chat (response).
"""

from send2llm.domain.completion import Answer, Completion
from send2llm.domain.errors import MalformedReply
from send2llm.infrastructure.formats.cohere.reading_messages import FORMAT, read_answer
from send2llm.infrastructure.formats.cohere.usage import read_usage
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    optional_string,
    required_string,
)

FINISH_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
"""What Cohere's reasons are in the domain; those to come are ``stop``."""

FAILURES = {"ERROR": "The generation failed.", "TIMEOUT": "The generation took too long."}
"""Reasons that are none for an answer to end, but errors."""


def read_reply(body: bytes, parsed: Body) -> Completion:
    """Read a ``parsed`` reply that is no failure; raises ``MalformedReply``. It does not name its model."""
    try:
        try:
            message = read_answer(an_object(parsed.get("message")))
        except WrongFieldError as error:
            raise error.within("message") from None
        reason = required_string(parsed, "finish_reason")
        return Completion(
            answers=(Answer(message, FINISH_REASONS.get(reason, "stop")),),
            response_id=optional_string(parsed, "id") or "",
            usage=read_usage(parsed.get("usage")),
            format=FORMAT,
            body=body,
        )
    except WrongFieldError as error:
        raise malformed(error) from None


def malformed(error: WrongFieldError) -> MalformedReply:
    """What a wrong field is in something that came from the provider."""
    return MalformedReply(f"The provider's reply is not in the format of Cohere's chat: {error}")
