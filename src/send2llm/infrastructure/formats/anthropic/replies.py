"""Replies of Anthropic's messages that come whole.

Format: https://platform.claude.com/docs/en/api/messages/create (``Message``).
"""

from typing import Any

import orjson

from send2llm.domain.completion import Answer, Completion
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import NO_EXTRAS, ContentPart, ForeignPart, Message, ToolCallPart
from send2llm.infrastructure.formats.anthropic.names import FORMAT, REPLY
from send2llm.infrastructure.formats.anthropic.reading_blocks import read_content
from send2llm.infrastructure.formats.anthropic.stop_reasons import details_of, read_stop, write_stop
from send2llm.infrastructure.formats.anthropic.usage import read_usage, write_usage
from send2llm.infrastructure.formats.anthropic.writing_blocks import write_block
from send2llm.infrastructure.formats.depth import DEEPEST, is_too_deep
from send2llm.infrastructure.formats.fields import Body, WrongFieldError, optional_string


def parse_reply(body: bytes) -> Body:
    """The JSON object of a reply or of an event of a stream; raises ``MalformedReply``."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedReply(f"The provider's reply is not JSON: {error.msg} at character {error.pos}.") from None
    if not isinstance(parsed, dict):
        raise MalformedReply("The provider's reply is JSON, but not an object.")
    if is_too_deep(body, parsed):
        raise MalformedReply(f"The provider's reply is nested more than {DEEPEST} levels deep.")
    return parsed


def malformed(error: WrongFieldError) -> MalformedReply:
    """What a wrong field is in something that came from a provider."""
    return MalformedReply(f"The provider's reply is not in the format of Anthropic's messages: {error}")


def read_reply(body: bytes, parsed: Body | None = None) -> Completion:
    """Read a reply, ``parsed`` already or not; raises ``MalformedReply``."""
    if parsed is None:
        parsed = parse_reply(body)
    try:
        finish_reason, details = read_stop(parsed)
        extras = {REPLY: details} if details else NO_EXTRAS
        message = Message("assistant", tuple(read_content(parsed.get("content"))), extras=extras, format=FORMAT)
        return Completion(
            answers=(Answer(message, finish_reason),),
            response_id=optional_string(parsed, "id") or "",
            response_model=optional_string(parsed, "model") or "",
            usage=read_usage(parsed.get("usage")),
            format=FORMAT,
            body=body,
        )
    except WrongFieldError as error:
        raise malformed(error) from None


def write_reply(completion: Completion, *, response_id: str, model: str) -> Body:
    """The body of a reply, from a completion of any format; of several answers, the first.

    ``response_id`` and ``model`` are for completions of other formats, or without names of their own.
    """
    answer = completion.answers[0]
    ours = answer.message.format == FORMAT
    calls_tools = any(isinstance(part, ToolCallPart) for part in answer.message.parts)
    return {
        "id": (ours and completion.response_id) or response_id,
        "type": "message",
        "role": "assistant",
        "model": (ours and completion.response_model) or model,
        "content": write_answer(answer.message.parts, ours=ours),
        **write_stop(answer.finish_reason, details_of(answer.message), calls_tools=calls_tools),
        "usage": write_usage(completion.usage),
    }


def write_answer(parts: tuple[ContentPart, ...], *, ours: bool) -> list[Body]:
    """The blocks of an answer: what the model thought in any format, but nothing that only another format has."""
    blocks: list[Any] = []
    for part in parts:
        if isinstance(part, ForeignPart) and part.format != FORMAT:
            continue
        if getattr(part, "text", None) == "" and not getattr(part, "signature", ""):
            continue
        if part.type in ("embedding", "tool_result"):
            continue
        blocks.append(write_block(part, ours=ours))
    return blocks
