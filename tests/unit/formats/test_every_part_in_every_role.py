"""Every kind of part, in every role, before every format of providers: it arrives, or the call is refused by name.

Callers may put anything anywhere: their formats have rules for it, and their programs break them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

import orjson
import pytest

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import (
    ERASED,
    ContentPart,
    EmbeddingPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats import anthropic, bedrock, cohere, gemini, mistral, ollama, openai_chat, responses
from send2llm.infrastructure.formats.foreign import FORMATS

Write = Callable[[Sequence[Message], Parameters], Any]

WRITERS: dict[str, Write] = {
    "openai": lambda messages, parameters: openai_chat.write_request("m", messages, parameters),
    "responses": lambda messages, parameters: responses.write_request("m", messages, parameters),
    "anthropic": lambda messages, parameters: anthropic.write_request("m", messages, parameters, system_messages=False),
    "anthropic, system messages": lambda messages, parameters: anthropic.write_request(
        "m", messages, parameters, system_messages=True
    ),
    "gemini": lambda messages, parameters: gemini.write_request(messages, parameters, gemini.Target("gemini-3-pro")),
    "gemini 2": lambda messages, parameters: gemini.write_request(
        messages, parameters, gemini.Target("gemini-2.0-flash", needs_file_type=True)
    ),
    "bedrock": lambda messages, parameters: bedrock.write_request(messages, parameters, "anthropic"),
    "mistral": lambda messages, parameters: mistral.write_request("m", messages, parameters),
    "cohere": lambda messages, parameters: cohere.write_request("m", messages, parameters, stream=False),
    "ollama": lambda messages, parameters: ollama.write_request("m", messages, parameters, {}, stream=False),
}
ROLES: tuple[Role, ...] = get_args(Role)

SAID = "c2FpZHNhaWQ="
"""What each part says: base64, because it may be a picture."""

PARTS: dict[str, ContentPart] = {
    "text": TextPart(SAID),
    "picture": ImagePart(f"data:image/png;base64,{SAID}"),
    "picture at an address": ImagePart(f"https://example.com/{SAID}.png"),
    "picture, looked at closely": ImagePart(f"data:image/png;base64,{SAID}", detail="high"),
    "thought": ReasoningPart(SAID, "signed"),
    "thought in ciphertext": ReasoningPart("", SAID),
    "refusal": RefusalPart(SAID),
    "tool call": ToolCallPart("call_1", "find", f'{{"what": "{SAID}"}}'),
    "tool call without a name that any knows": ToolCallPart("", "", SAID),
    "tool result": ToolResultPart("call_1", SAID),
    "tool result without a call": ToolResultPart("", SAID),
    "tool result that failed": ToolResultPart("call_9", SAID, is_error=True),
    "embedding": EmbeddingPart(SAID),
    "erased": ERASED,
    **{
        f"{kind} of {format_}": ForeignPart(format_, {"type": kind, kind: {"data": SAID}})
        for format_ in FORMATS
        for kind in ("file", "input_audio", "document")
    },
}


def _transcripts(role: Role, part: ContentPart, format_: str) -> Iterator[list[Message]]:
    """The part alone and among others, as the first message and as a later one."""
    hi = Message("user", (TextPart("Hi"),), format=format_)
    call = Message("assistant", (ToolCallPart("call_1", "find", "{}"),), format=format_)
    word = TextPart("word")
    for parts in ((part,), (word, part), (part, word), (part, part)):
        message = Message(role, parts, format=format_)
        yield [message]
        yield [message, hi]
        yield [hi, call, message]
        yield [hi, call, message, hi]


def _sent(target: str, messages: Sequence[Message], format_: str) -> str | None:
    """The request as JSON, ``None`` if it is refused; the error tells nothing of what was said."""
    try:
        body = WRITERS[target](messages, Parameters(format=format_))
    except RequestRejected as error:
        if SAID in str(error):
            raise AssertionError("the error tells what was said") from error
        return None
    return orjson.dumps(body, default=dict).decode()


def _may_be_refused(part: ContentPart, role: Role) -> bool:
    """A text has its place everywhere but beside the result of a tool, a thought in what an assistant said."""
    return not ((part.type == "text" and role != "tool") or (part.type == "reasoning" and role == "assistant"))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("target", WRITERS)
def test_it_arrives_or_is_refused(target: str, role: Role, format_: str) -> None:
    for name, part in PARTS.items():
        for messages in _transcripts(role, part, format_):
            sent = _sent(target, messages, format_)
            if sent is None:
                assert _may_be_refused(part, role), (name, messages)
            elif part.type != "reasoning":  # which goes to no provider that could not verify it
                assert SAID in sent, (name, messages, sent)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("target", WRITERS)
def test_a_message_that_says_nothing_is_no_reason_to_fail(target: str, role: Role, format_: str) -> None:
    hi = Message("user", (TextPart("Hi"),), format=format_)
    for parts in ((), (TextPart(""),), (RefusalPart(""),), (ToolResultPart("call_1", ""),)):
        sent = _sent(target, [Message(role, parts, format=format_), hi], format_)
        assert sent is None or "Hi" in sent
