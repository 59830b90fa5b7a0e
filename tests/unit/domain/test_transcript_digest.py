"""The hash chain by which a conversation is found again from its messages."""

from dataclasses import replace
from functools import reduce
from types import MappingProxyType

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    transcript_digest,
)

TEXT = st.text(st.characters(), max_size=8)  # lone surrogates included
PARTS = st.one_of(
    st.builds(TextPart, TEXT.filter(bool)),
    st.builds(ToolCallPart, TEXT, TEXT, TEXT),
    st.builds(ToolResultPart, TEXT, TEXT),
    st.builds(ImagePart, TEXT),
    st.builds(RefusalPart, TEXT.filter(bool)),
    st.builds(ForeignPart, TEXT, st.dictionaries(TEXT, TEXT | st.integers(), max_size=2)),
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(PARTS, max_size=3).map(tuple),
    st.none() | TEXT.filter(bool),
)
TRANSCRIPTS = st.lists(MESSAGES, max_size=4)


def digest(messages):
    return reduce(transcript_digest, messages, b"")


@given(TRANSCRIPTS, TRANSCRIPTS)
def test_different_transcripts_have_different_digests(one, other):
    assert (digest(one) == digest(other)) == (one == other)


@given(TRANSCRIPTS.filter(bool))
def test_a_beginning_is_not_the_whole(messages):
    assert digest(messages) != digest(messages[:-1])


@given(TRANSCRIPTS, TRANSCRIPTS)
def test_it_goes_on_where_it_stopped(beginning, rest):
    assert reduce(transcript_digest, rest, digest(beginning)) == digest(beginning + rest)


@given(MESSAGES, st.dictionaries(TEXT, TEXT))
def test_what_was_not_said_does_not_count(message, extras):
    assert digest([replace(message, extras=extras)]) == digest([message])


def test_empty_texts_do_not_count():
    call = ToolCallPart("call_1", "clock", "{}")
    assert digest([Message("assistant", (TextPart(""), call))]) == digest([Message("assistant", (call,))])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((TextPart("ab"),), (TextPart("a"), TextPart("b"))),
        ((TextPart("hi"),), (RefusalPart("hi"),)),
        ((TextPart("text"), TextPart("a")), (TextPart("a"), TextPart("text"))),
    ],
)
def test_how_it_is_divided_counts(one, other):
    assert digest([Message("user", one)]) != digest([Message("user", other)])


def test_the_order_of_keys_does_not_count_at_any_depth():
    one = ForeignPart("openai", {"type": "audio", "audio": {"data": "x", "format": "wav"}})
    other = ForeignPart("openai", MappingProxyType({"audio": {"format": "wav", "data": "x"}, "type": "audio"}))
    assert digest([Message("user", (one,))]) == digest([Message("user", (other,))])


@pytest.mark.parametrize("spelling", ['{"b": [1.0, null],  "a": "\\u00e4"}', '{"a":"ä","b":[1,null]}'])
def test_how_the_arguments_of_a_tool_call_are_spelled_does_not_count(spelling):
    usual = ToolCallPart("1", "f", '{"a": "ä", "b": [1, null]}')
    assert digest([Message("assistant", (replace(usual, arguments=spelling),))]) == digest(
        [Message("assistant", (usual,))]
    )


def test_no_arguments_are_an_empty_object():
    one, other = (Message("assistant", (ToolCallPart("1", "f", arguments),)) for arguments in ("", "{}"))
    assert digest([one]) == digest([other])


@pytest.mark.parametrize("other", ['{"a": "1"}', '{"a": 2}', '{"a": 1, "b": null, "c": 1}', "[1]", "{broken", "1"])
def test_what_the_arguments_say_does_count(other):
    usual, different = (Message("assistant", (ToolCallPart("1", "f", said),)) for said in ('{"a": 1}', other))
    assert digest([usual]) != digest([different])


def test_marks_for_caches_and_nulls_in_parts_of_one_format_do_not_count():
    def said(body):
        return digest([Message("user", (ForeignPart("anthropic", body),))])

    plain = {"type": "document", "source": {"type": "content", "content": [{"text": "x"}]}}
    marked = {**plain, "title": None, "cache_control": {"type": "ephemeral"}}
    marked["source"] = {"type": "content", "content": [{"text": "x", "cache_control": {"type": "ephemeral"}}]}
    assert said(plain) == said(marked)
    assert said(plain) != said({**plain, "title": "t"})
