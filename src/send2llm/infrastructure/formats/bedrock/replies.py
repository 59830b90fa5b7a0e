"""Replies of Converse that come whole.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (response syntax).
"""

from send2llm.domain.completion import Answer, Completion
from send2llm.domain.errors import MalformedReply
from send2llm.infrastructure.formats.bedrock.blocks import FORMAT, read_answer
from send2llm.infrastructure.formats.bedrock.usage import read_usage
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, an_object, required_string

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""What stop reasons are in the domain; the others (``malformed_tool_use`` and what is to come) are ``stop``."""


def read_reply(body: bytes, parsed: Body) -> Completion:
    """Read a ``parsed`` reply; raises ``MalformedReply``. It names neither itself nor its model."""
    try:
        output = an_object(parsed.get("output"), "output")
        try:
            message = read_answer(an_object(output.get("message"), "message"))
        except WrongFieldError as error:
            raise error.within("output") from None
        reason = required_string(parsed, "stopReason")
    except WrongFieldError as error:
        raise malformed(error) from None
    answer = Answer(message, FINISH_REASONS.get(reason, "stop"))
    return Completion((answer,), usage=read_usage(parsed.get("usage")), format=FORMAT, body=body)


def malformed(error: WrongFieldError) -> MalformedReply:
    """What a wrong field is in something that came from the provider."""
    return MalformedReply(f"The provider's reply is not in the format of Amazon Bedrock's Converse: {error}")
