"""The most tokens that a prompt can have."""

from collections.abc import Iterable
from typing import assert_never

from send2llm.domain.completion import Parameters
from send2llm.domain.message import (
    ContentPart,
    EmbeddingPart,
    ForeignPart,
    ImagePart,
    JsonObject,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.domain.upper_bound.allowances import (
    ANY_MODEL,
    RESPONSE_FORMAT_TOKENS,
    TOKENS_PER_MESSAGE,
    TOKENS_PER_PART,
    TOKENS_PER_REQUEST,
    TOKENS_PER_TOOL,
    TOKENS_PER_TOOL_CALL,
    TOOL_PROMPT_TOKENS,
    Allowances,
)
from send2llm.domain.upper_bound.image_tokens import most_image_tokens
from send2llm.domain.upper_bound.request_fields import (
    PROMPT_FIELDS,
    require_bounded_fields,
    require_no_stored_audio,
    require_text,
    tokens_of,
)
from send2llm.domain.upper_bound.text_size import most_json_tokens, most_quoted_tokens, most_text_tokens


def most_message_tokens(messages: Iterable[Message], allowances: Allowances = ANY_MODEL) -> int:
    """The part of ``most_input_tokens`` that the messages make up; it adds up over the parts of a transcript."""
    return sum([_message_tokens(message, allowances) for message in messages])


def most_input_tokens(
    messages: Iterable[Message], parameters: Parameters, allowances: Allowances = ANY_MODEL, *, said_tokens: int = 0
) -> int:
    """An upper bound on the input tokens that any provider counts for the request.

    ``said_tokens`` is the result of ``most_message_tokens`` for messages that come before ``messages``, so that what
    was said long ago is not counted again in each turn. Linear in the request's bytes. Raises ``CannotBound`` for what
    has no bound: audio, files, stored content, tools that the provider runs, and fields which are not known to be free.
    """
    tokens = TOKENS_PER_REQUEST + allowances.hidden_prompt + said_tokens + most_message_tokens(messages, allowances)
    if parameters.extras or parameters.tools:
        require_bounded_fields(parameters, allowances.free_fields)
        tokens += _tool_tokens(parameters)
    response_format = parameters.response_format
    if response_format is not None and response_format.get("type") != "text":
        tokens += RESPONSE_FORMAT_TOKENS + most_json_tokens(response_format)
    window = allowances.context_window
    return tokens if window is None else min(tokens, window)


def _message_tokens(message: Message, allowances: Allowances) -> int:
    tokens = TOKENS_PER_MESSAGE
    if message.name is not None:
        tokens += most_text_tokens(message.name)
    if message.extras:
        require_no_stored_audio(message.extras)
        tokens += most_json_tokens(message.extras)
    for part in message.parts:
        # Nearly every part is plain text, and has no extras.
        if type(part) is TextPart and not part.extras:
            tokens += TOKENS_PER_PART + most_text_tokens(part.text)
        else:
            tokens += TOKENS_PER_PART + _part_tokens(part, allowances)
    return tokens


def _part_tokens(part: ContentPart, allowances: Allowances) -> int:
    match part:
        case TextPart(text=text, extras=extras):
            return most_text_tokens(text) + _extras_tokens(extras)
        case RefusalPart(refusal=text, extras=extras):
            return most_text_tokens(text) + _extras_tokens(extras)
        case ImagePart(extras=extras):
            return most_image_tokens(part, allowances.images) + _extras_tokens(extras)
        case ToolCallPart(id=id_, name=name, arguments=arguments, extras=extras):
            # Some templates name the function again beside its result (Harmony).
            called = most_text_tokens(id_) + 2 * most_text_tokens(name)
            return TOKENS_PER_TOOL_CALL + called + most_json_tokens(arguments) + _extras_tokens(extras)
        case ToolResultPart(tool_call_id=id_, content=content, extras=extras):
            # Each result can become a message of its own.
            returned = most_text_tokens(id_) + most_quoted_tokens(content)
            return TOKENS_PER_MESSAGE + TOKENS_PER_TOOL_CALL + returned + _extras_tokens(extras)
        case ReasoningPart(text=text, signature=signature, extras=extras):
            # What is only ciphertext is longer than the thought in it.
            return most_text_tokens(text) + most_text_tokens(signature) + _extras_tokens(extras)
        case EmbeddingPart():
            return 0  # no model reads it
        case ForeignPart(body=body):
            tokens = tokens_of(part)
            if tokens is not None:
                return len(tokens)
            require_text(part)
            return most_json_tokens(body)
        case _:
            assert_never(part)


def _extras_tokens(extras: JsonObject) -> int:
    return most_json_tokens(extras) if extras else 0


def _tool_tokens(parameters: Parameters) -> int:
    tokens = 0
    for name in PROMPT_FIELDS & parameters.extras.keys():
        tokens += TOOL_PROMPT_TOKENS + most_json_tokens(parameters.extras[name])
    if parameters.tools:
        tokens += TOOL_PROMPT_TOKENS + TOKENS_PER_TOOL * len(parameters.tools) + most_json_tokens(parameters.tools)
    if parameters.tool_choice is not None and not isinstance(parameters.tool_choice, str):
        tokens += most_json_tokens(parameters.tool_choice)
    return tokens
