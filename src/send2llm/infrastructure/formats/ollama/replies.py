"""Replies of Ollama's chat, whole and line by line.

Source: https://docs.ollama.com/api/chat and https://docs.ollama.com/api/streaming: a line of a stream is a reply with a
piece of the message; tool calls come whole.
"""

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta
from send2llm.domain.errors import MalformedReply
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    optional_boolean,
    optional_string,
)
from send2llm.infrastructure.formats.ollama.reading_messages import FORMAT, read_answer, read_tool_calls
from send2llm.infrastructure.formats.ollama.usage import read_usage


def read_reply(body: bytes, parsed: Body) -> Completion:
    """Read a ``parsed`` reply; raises ``MalformedReply``. It has no id."""
    try:
        if "message" not in parsed:
            raise missing("an object", "message")
        try:
            message = read_answer(an_object(parsed["message"]), str(parsed.get("created_at")))
        except WrongFieldError as error:
            raise error.within("message") from None
        return Completion(
            answers=(Answer(message, _finish_reason(parsed, called=bool(message.tool_calls))),),
            response_model=optional_string(parsed, "model") or "",
            usage=read_usage(parsed),
            format=FORMAT,
            body=body,
        )
    except WrongFieldError as error:
        raise malformed(error) from None


class ChatLines:
    """Reads the lines of one answer in their order."""

    def __init__(self) -> None:
        self.ended = False
        self._begun = False
        self._calls = 0

    def read(self, line: Body, raw: bytes) -> list[Delta]:
        """The piece in one line, and behind it the usage; raises ``MalformedReply``."""
        try:
            delta = self._delta(line)
        except WrongFieldError as error:
            raise malformed(error) from None
        delta.raw, delta.format = raw, FORMAT
        usage = read_usage(line) if self.ended else None
        return [delta] if usage is None else [delta, Delta(usage=usage, raw=b"", format=FORMAT)]

    def _delta(self, line: Body) -> Delta:
        message = an_object(line.get("message") or {}, "message")
        delta = Delta(response_model=optional_string(line, "model") or "")
        try:
            delta.text = optional_string(message, "content") or ""
            delta.reasoning = optional_string(message, "thinking") or ""
            delta.tool_calls = self._tool_calls(message, str(line.get("created_at")))
        except WrongFieldError as error:
            raise error.within("message") from None
        if not self._begun:
            self._begun, delta.role = True, "assistant"
        self.ended = optional_boolean(line, "done")
        if self.ended:
            delta.finish_reason = _finish_reason(line, called=self._calls > 0)
        return delta

    def _tool_calls(self, message: Body, moment: str) -> tuple[ToolCallDelta, ...]:
        calls = read_tool_calls(message, moment, self._calls)
        begun = self._calls
        self._calls += len(calls)
        return tuple(
            ToolCallDelta(begun + place, call.id, call.name, call.arguments, call.extras)
            for place, call in enumerate(calls)
        )


def _finish_reason(body: Body, *, called: bool) -> str:
    """Ollama says ``stop`` also of an answer that calls tools, and ``load`` of an empty one."""
    if optional_string(body, "done_reason") == "length":
        return "length"
    return "tool_calls" if called else "stop"


def malformed(error: WrongFieldError) -> MalformedReply:
    """What a wrong field is in something that came from the provider."""
    return MalformedReply(f"The provider's reply is not in the format of Ollama's chat: {error}")
