"""Token counts when a provider reports none: an estimate, and always recorded as one."""

from collections.abc import Iterable
from math import ceil

from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

BYTES_PER_TOKEN = 3.6
"""UTF-8 bytes for one token of mixed text and code, measured with the o200k vocabulary."""

TOKENS_PER_MESSAGE = 4
"""The marks around a message in chat templates."""

TOKENS_PER_IMAGE = 765
"""A 1024 x 1024 picture at high detail by OpenAI's tile rule: 85 + 4 x 170."""


def estimate_tokens(text: str) -> int:
    """About how many tokens ``text`` has."""
    return ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def estimate_message_tokens(messages: Iterable[Message]) -> int:
    """About how many tokens a model reads in ``messages``."""
    return sum(TOKENS_PER_MESSAGE + sum(map(_part_tokens, message.parts)) for message in messages)


def _part_tokens(part: object) -> int:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text) | ToolResultPart(content=text) | ReasoningPart(text=text):
            return estimate_tokens(text)
        case ToolCallPart(name=name, arguments=arguments):
            return estimate_tokens(name) + estimate_tokens(arguments)
        case ImagePart():
            return TOKENS_PER_IMAGE
        case ForeignPart(body=body):
            return estimate_tokens(str(body))
    return 0
