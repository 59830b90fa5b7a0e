"""Messages of the domain, written as Converse has them.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html. What the system says stands
beside the messages, and the other two roles take turns: what one side says in several messages becomes one.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import (
    ContentPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.bedrock.blocks import FORMAT, REDACTED
from send2llm.infrastructure.formats.data_urls import picture_of
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import refuse_foreign_part, require_text
from send2llm.infrastructure.formats.tool_arguments import arguments_object

IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}

_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")


def write_messages(messages: Iterable[Message]) -> tuple[list[Body], list[Body]]:
    """The ``system`` blocks and the ``messages``; raises ``RequestRejected`` for parts that Converse cannot carry."""
    system: list[Body] = []
    turns: list[Body] = []
    for message in messages:
        if message.role in ("system", "developer"):
            require_text(message, FORMAT)
            system += _blocks(message)
            continue
        blocks = list(_blocks(message))
        if blocks:
            _take_turn(turns, "assistant" if message.role == "assistant" else "user", blocks, message)
    return system, turns


def _take_turn(turns: list[Body], role: str, blocks: list[Body], message: Message) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})
    if message.format == FORMAT:
        turns[-1].update(message.extras)


def _blocks(message: Message) -> Iterator[Body]:
    """The blocks of a message; in one of a tool, what stands behind a result belongs to it."""
    ours = message.format == FORMAT
    result: Body | None = None
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            identifier = tool_use_id(part.tool_call_id)
            if result is None or result["toolUseId"] != identifier:
                result = {"toolUseId": identifier, "content": []}
                yield {"toolResult": result}
            if part.content.strip():
                result["content"].append({"text": part.content})
            if part.is_error:
                result["status"] = "error"
            continue
        block = _block(part, ours=ours)
        if block is None:
            continue
        if message.role == "tool":
            if result is None:
                result = {"toolUseId": tool_use_id(str(message.extras.get("tool_call_id", ""))), "content": []}
                yield {"toolResult": result}
            result["content"].append(block)
        else:
            result = None
            yield block


def _block(part: ContentPart, *, ours: bool) -> Body | None:
    """``None`` for what says nothing here: a blank text, which Bedrock refuses; a thought of another format."""
    match part:
        case TextPart(text=text):
            if ours and "citations" in part.extras:
                return {"citationsContent": {"content": [{"text": text}], "citations": part.extras["citations"]}}
            return {"text": text} if text.strip() else None
        case RefusalPart(refusal=refusal):
            return {"text": refusal} if refusal.strip() else None
        case ImagePart():
            return _image(part)
        case ToolCallPart():
            use: Body = {
                "toolUseId": tool_use_id(part.id),
                "name": part.name,
                "input": arguments_object(part, FORMAT),
            }
            return {"toolUse": use | dict(part.extras) if ours else use}
        case ReasoningPart():
            return _thought(part) if ours else None
        case ForeignPart(format="bedrock"):
            return dict(part.body)
        case _:
            raise refuse_foreign_part(part, FORMAT)


def _image(part: ImagePart) -> Body:
    media_type, data = picture_of(part, FORMAT)
    kind = IMAGE_FORMATS.get(media_type)
    if kind is None:
        raise RequestRejected(
            f"The field 'image_url' holds a picture of the type {media_type[:80]!r}; Amazon Bedrock's Converse takes "
            f"{', '.join(sorted(set(IMAGE_FORMATS.values())))}."
        )
    return {"image": {"format": kind, "source": {"bytes": data}}}


def _thought(part: ReasoningPart) -> Body:
    if part.extras.get(REDACTED):
        return {"reasoningContent": {REDACTED: part.signature}}
    thought: Body = {"text": part.text}
    if part.signature:
        thought["signature"] = part.signature
    return {"reasoningContent": {"reasoningText": thought | dict(part.extras)}}


def tool_use_id(identifier: str) -> str:
    """The id of a tool call as Converse takes it: others than its own kind are replaced, alike wherever they stand.

    Pattern: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html.
    """
    if _TOOL_USE_ID.fullmatch(identifier):
        return identifier
    return f"call_{blake2b(identifier.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"
