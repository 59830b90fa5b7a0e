"""Conversations as a caller of OpenAI's format sends them, and what of them has to arrive in any other format."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from send2llm.domain.message import ImagePart, Message, TextPart, ToolCallPart, ToolResultPart

Said = tuple[Any, ...]
"""Who, what kind, and what."""

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff").decode()

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda text: text.strip())
names = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
ids = st.from_regex(r"call_[a-z0-9]{1,8}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
arguments = st.dictionaries(words, values, max_size=3)
pictures = st.sampled_from([f"data:image/png;base64,{PNG}", f"data:image/jpeg;base64,{JPEG}"])
texts = st.builds(TextPart, words)


def _turn(said: tuple[list[Any], list[Any], list[tuple[str, str, dict[str, Any], str]]]) -> list[Message]:
    """A question, an answer that may call tools, and their results."""
    asked, answered, calls = said
    made = [ToolCallPart(id_, name, json.dumps(given)) for id_, name, given, _ in calls]
    results = [Message("tool", (ToolResultPart(id_, result),)) for id_, _, _, result in calls]
    return [Message("user", tuple(asked)), Message("assistant", (*answered, *made)), *results]


turns = st.tuples(
    st.lists(texts | st.builds(ImagePart, pictures), min_size=1, max_size=3),
    st.lists(texts, min_size=1, max_size=1),
    st.lists(st.tuples(ids, names, arguments, words), max_size=3, unique_by=lambda call: call[0]),
).map(_turn)

systems = st.lists(texts.map(lambda text: Message("system", (text,))), max_size=2)

conversations = st.builds(
    lambda system, asked: [*system, *(message for turn in asked for message in turn)],
    systems,
    st.lists(turns, min_size=1, max_size=3),
)


def said_in(messages: Sequence[Message]) -> list[Said]:
    """All of it, in order."""
    said: list[Said] = []
    for message in messages:
        for part in message.parts:
            match part:
                case TextPart(text=text):
                    said.append((message.role, "text", text))
                case ImagePart(url=url):
                    said.append((message.role, "image", url))
                case ToolCallPart(id=id_, name=name, arguments=given):
                    said.append((message.role, "call", id_, name, json.loads(given)))
                case ToolResultPart(tool_call_id=id_, content=content):
                    said.append(("tool", "result", id_, content))
    return said
