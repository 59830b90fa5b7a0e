"""Whatever the texts, and however a stream is cut: the caller gets its own words back, and nothing is left to find."""

import json
from itertools import pairwise

from hypothesis import given, settings, strategies as st

from send2llm.application.answer_rewriter import AnswerRewriter
from send2llm.application.field_paths import FieldPaths, usual_path
from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.message import Message, TextPart, ToolCallPart
from send2llm.infrastructure.handlers.redaction.detectors import DETECTORS
from send2llm.infrastructure.handlers.redaction.redactor import Redactor
from send2llm.infrastructure.handlers.redaction.restoring import Restoring
from send2llm.infrastructure.handlers.redaction.vault import PLACEHOLDER, Vault

REDACTOR = Redactor(DETECTORS, (), answers=False)
PLACES = FieldPaths((), usual_path)

PERSONAL = st.sampled_from(
    [
        "ann@example.com",
        "bob@example.org",
        "+49 30 901820",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "10.0.0.1",
        "fe80::1",
        "sk-abcdefghijklmnopqrst",
        "eyJhbGciOiJI.eyJzdWIiOiIx.abc",
        '-----BEGIN PRIVATE KEY-----\n"\\x\n-----END PRIVATE KEY-----',
    ]
)
FILLING = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [" ", ".", ", ", "(", ")", "[", "]", "[EMAIL_1]", "[EMAIL_2", "[PHONE_1] ", "1", "a", "@", "-", ":"]
    ),
)
TEXTS = st.lists(st.one_of(PERSONAL, FILLING), max_size=12).map("".join)
APART = st.lists(PERSONAL, max_size=6).map(", ".join)
"""Glued together, two values may share a middle: given back they are right, and yet not always hidden the same."""
CONVERSATIONS = st.lists(
    st.tuples(st.sampled_from(["user", "system", "assistant", "tool"]), TEXTS), min_size=1, max_size=5
)


def messages_of(told):
    return [Message(role, (TextPart(text),)) for role, text in told]


@given(TEXTS)
def test_a_second_look_finds_nothing(text):
    vault = Vault()
    once = REDACTOR.text(text, vault, "p")
    count = len(vault)
    assert REDACTOR.text(once, vault, "p") == once
    assert len(vault) == count


@given(TEXTS)
def test_a_text_comes_back_as_it_was(text):
    vault = Vault()
    assert vault.restored(REDACTOR.text(text, vault, "p")) == text


@given(CONVERSATIONS)
def test_the_same_history_comes_out_the_same_however_it_goes_on(told):
    messages = messages_of(told)
    whole = REDACTOR.redacted(messages, Vault(), PLACES)
    for length in range(len(messages)):
        assert list(REDACTOR.redacted(messages[:length], Vault(), PLACES)) == list(whole[:length])


@given(APART, st.data())
def test_an_answer_that_was_given_back_is_recognised(text, data):
    vault = Vault()
    masked = REDACTOR.redacted(messages_of([("user", text)]), vault, PLACES)
    words = [*PLACEHOLDER.findall(masked[0].text), " ", ".", "so ", "\n"]
    stored = Message("assistant", (TextPart("".join(data.draw(st.lists(st.sampled_from(words), max_size=8)))),))
    given_back = Message("assistant", (TextPart(vault.restored(stored.text)),))
    again = REDACTOR.redacted([*messages_of([("user", text)]), given_back], Vault(), PLACES)
    assert list(again) == [*masked, stored]


def cut(text, places):
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@settings(max_examples=200)
@given(TEXTS, CUTS, CUTS, st.integers(1, 3))
def test_a_stream_comes_back_as_it_was_however_it_is_cut(text, cuts, other_cuts, batch_size):
    vault = Vault()
    masked = REDACTOR.text(text, vault, "p")
    arguments = REDACTOR.text(text, vault, "p")
    deltas = [Delta(text=piece, raw=b"x") for piece in cut(masked, cuts)]
    deltas += [Delta(text=piece, index=1, raw=b"") for piece in cut(masked, other_cuts)]
    deltas += [Delta(tool_calls=(ToolCallDelta(0, "c1", "f"),))]
    deltas += [Delta(tool_calls=(ToolCallDelta(0, arguments=piece),)) for piece in cut(arguments, other_cuts)]
    deltas += [Delta(finish_reason="stop"), Delta(finish_reason="stop", index=1)]

    rewriter = AnswerRewriter([lambda kind: Restoring(vault, "text")])
    builder = CompletionBuilder()
    for begin in range(0, len(deltas), batch_size):
        for delta in rewriter.pieces(deltas[begin : begin + batch_size]):
            builder.add(delta)
    assert rewriter.end() == []

    restored = builder.completion()
    assert [answer.message.text for answer in restored.answers] == [text, text]
    assert restored.answers[0].message.tool_calls[0].arguments == text


@given(TEXTS)
def test_arguments_stay_json_and_come_back_as_they_were(text):
    vault = Vault()
    masked = REDACTOR.text(text, vault, "p")
    call = ToolCallPart("c1", "f", json.dumps({"to": masked}, ensure_ascii=False))
    completion = Completion((Answer(Message("assistant", (call,)), "tool_calls"),), body=b"{}")
    given_back = AnswerRewriter([lambda kind: Restoring(vault, kind)]).whole(completion)
    arguments = given_back.answers[0].message.tool_calls[0].arguments
    assert json.loads(arguments) == {"to": text}


@given(APART, st.text(max_size=5))
def test_arguments_that_were_given_back_are_recognised(text, other):
    vault = Vault()
    masked = REDACTOR.text(text, vault, "p")
    arguments = json.dumps({"to": masked, "\\": other}, ensure_ascii=False)
    assert vault.hidden(vault.restored(arguments, in_json=True), in_json=True) == arguments
