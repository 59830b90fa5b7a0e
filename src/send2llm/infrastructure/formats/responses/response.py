"""The response object: what a caller gets of a whole answer, and what the first and the last event of a stream hold.

Format: https://platform.openai.com/docs/api-reference/responses/object
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from send2llm.domain.completion import Completion, Parameters, Usage, deltas_of
from send2llm.domain.continuation import INSTRUCTIONS
from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import Message
from send2llm.infrastructure.formats.caller_format import AnswerFacts
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.responses.names import created_at, response_id
from send2llm.infrastructure.formats.responses.output import output_of
from send2llm.infrastructure.formats.responses.requests import PREVIOUS, write_parameters
from send2llm.infrastructure.formats.responses.usage import write_usage

INCOMPLETE: Mapping[str, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is not complete, by its finish reason."""

_USUAL: Mapping[str, Any] = {
    "background": False,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    PREVIOUS: None,
    "service_tier": "default",
    "store": True,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
}
"""What a response says of fields that the request left out."""


@dataclass(frozen=True, slots=True)
class ResponseFrame:
    """All of a response but what is answered: its name, and what was asked."""

    facts: AnswerFacts
    messages: Sequence[Message]
    parameters: Parameters

    @property
    def id(self) -> str:
        """The response's name."""
        return response_id(self.facts.conversation_id, self.facts.completion_id)

    def body(
        self,
        status: str,
        output: Sequence[Body] = (),
        *,
        usage: Usage | None = None,
        finish_reason: str = "",
        error: Body | None = None,
    ) -> Body:
        """The response; ``error`` tells why it failed."""
        asked = _asked(self.parameters)
        instructions = [message.text for message in self.messages if message.extras.get(INSTRUCTIONS)]
        incomplete = INCOMPLETE.get(finish_reason) if status == "incomplete" else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": created_at(self.facts.completion_id, self.facts.created),
            "status": status,
            "error": error,
            "incomplete_details": None if incomplete is None else {"reason": incomplete},
            "instructions": "\n\n".join(instructions) if instructions else None,
            "model": self.facts.model,
            "output": list(output),
            **_USUAL,
            **asked,
            "reasoning": {"effort": None, "summary": None, **asked.get("reasoning", {})},
            "text": {"format": {"type": "text"}, **asked.get("text", {})},
            "usage": None if usage is None else write_usage(usage),
        }


def _asked(parameters: Parameters) -> Body:
    """The request's own fields, as far as this format has words for them: the call may have come in another one."""
    try:
        return write_parameters(parameters)
    except RequestRejected:
        return write_parameters(replace(parameters, tools=()))


def status_of(finish_reason: str) -> str:
    """The status of a response whose answer ended so."""
    return "incomplete" if finish_reason in INCOMPLETE else "completed"


def failure(code: str, message: str, status: int = 500) -> Body:
    """The ``error`` of a response that has failed: the format has a closed list of codes, so ours is in the text."""
    known = "rate_limit_exceeded" if status == 429 else "server_error"
    return {"code": known, "message": f"{message} ({code})"}


def write_reply(completion: Completion, frame: ResponseFrame) -> Body:
    """A whole answer of any format."""
    finish_reason = completion.answers[0].finish_reason
    status = status_of(finish_reason)
    output = output_of(deltas_of(completion), frame.facts.completion_id, status=status)
    return frame.body(status, output, usage=completion.usage, finish_reason=finish_reason)


def own(body: Body, frame: ResponseFrame) -> Body:
    """A provider's response under the name that it has here: what is called by an id of its own, is found by ours."""
    extras = frame.parameters.extras
    return {**body, "id": frame.id, PREVIOUS: extras.get(PREVIOUS), "store": extras.get("store", True)}
