"""Token counts when nobody reports them."""

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.estimation import (
    TOKENS_PER_IMAGE,
    TOKENS_PER_MESSAGE,
    estimate_message_tokens,
    estimate_tokens,
)
from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

TEXT = st.text(st.characters())


@given(TEXT)
def test_no_text_has_more_tokens_than_bytes(text):
    assert estimate_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))
    assert (estimate_tokens(text) == 0) == (text == "")


@given(TEXT, TEXT)
def test_more_text_never_has_fewer_tokens(text, more):
    assert estimate_tokens(text) <= estimate_tokens(text + more) <= estimate_tokens(text) + estimate_tokens(more)


def test_english_prose_has_about_four_letters_a_token():
    prose = "The quick brown fox jumps over the lazy dog, and then it rests for a while in the shade."
    assert 18 <= estimate_tokens(prose) <= 30


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (TextPart("abc"), 1),
        (RefusalPart("abc"), 1),
        (ToolResultPart("call_1", "abc"), 1),
        (ToolCallPart("call_1", "abc", "abc"), 2),
        (ImagePart("data:image/png;base64," + "A" * 100_000), TOKENS_PER_IMAGE),
        (ForeignPart("openai", {"a": 1}), 3),
    ],
)
def test_every_part_counts(part, tokens):
    assert estimate_message_tokens([Message("user", (part,))]) == TOKENS_PER_MESSAGE + tokens


def test_messages_add_up():
    message = Message("user", (TextPart("abc"),))
    assert estimate_message_tokens([message] * 3) == 3 * estimate_message_tokens([message])
    assert estimate_message_tokens([]) == 0
