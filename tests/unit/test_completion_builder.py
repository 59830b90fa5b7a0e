"""The pieces of a stream amount to the completion that they came from."""

from decimal import Decimal

import pytest

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import Message, TextPart, ToolCallPart
from send2llm.testing.providers import answer, batches_of


def built(*deltas: Delta) -> CompletionBuilder:
    builder = CompletionBuilder()
    for delta in deltas:
        builder.add(delta)
    return builder


@pytest.mark.parametrize(
    "completion",
    [
        answer("Hello, world"),
        answer("  two  spaces ", usage=Usage(3, 2)),
        answer(refusal="No."),
        answer("Look:", ToolCallPart("a", "f", '{"x": 1}'), ToolCallPart("b", "g", "", extras={"sign": "s"})),
        answer("cut", finish_reason="length"),
        Completion(
            (
                Answer(Message("assistant", (TextPart("one"),), extras={"reasoning_content": "hm"}), "stop"),
                Answer(Message("assistant", (TextPart("two"),)), "length"),
            ),
            "id",
            "model",
            Usage(1, 2),
            Decimal("0.1"),
        ),
    ],
)
def test_a_streamed_completion_is_the_completion(completion: Completion) -> None:
    builder = built(*(delta for batch in batches_of(completion) for delta in batch))

    assert builder.completion() == completion
    assert builder.partial() == completion


def test_before_the_first_piece_of_the_answer_there_is_nothing() -> None:
    builder = built(Delta(role="assistant", response_id="x"))

    assert builder.partial() is None

    builder.add(Delta(text="Par"))
    partial = builder.partial()
    assert partial is not None
    assert partial.answers[0].message.text == "Par"
    assert builder.partial() == partial


def test_a_stream_without_an_answer_is_malformed() -> None:
    with pytest.raises(MalformedReply):
        built().completion()
    with pytest.raises(MalformedReply):
        built(Delta(usage=Usage(1, 0))).completion()


def test_an_empty_answer_is_an_answer() -> None:
    completion = built(Delta(role="assistant"), Delta(finish_reason="stop")).completion()

    assert completion.answers == (Answer(Message("assistant", ()), "stop"),)


def test_choices_may_come_interleaved() -> None:
    pieces = [Delta(text=text, index=index) for index, text in [(1, "b"), (0, "a"), (1, "B"), (0, "A")]]

    assert [given.message.text for given in built(*pieces).completion().answers] == ["aA", "bB"]


def test_the_last_usage_counts() -> None:
    assert built(Delta(text="a", usage=Usage(1, 1)), Delta(usage=Usage(1, 5))).completion().usage == Usage(1, 5)


def test_unknown_text_is_appended_and_unknown_structures_grow() -> None:
    pieces = [
        {
            "reasoning_content": "a",
            "audio": {"id": "x", "data": "AA"},
            "details": [{"index": 0, "text": "p"}],
            "n": 1,
        },
        {
            "reasoning_content": "b",
            "audio": {"id": "x", "data": "BB"},
            "details": [{"index": 0, "text": "q"}],
            "n": 2,
        },
        {"details": [{"index": 1, "text": "r"}], "links": ["l"]},
        {"links": ["m"]},
    ]
    before = repr(pieces)

    message = built(*(Delta(extras=extras) for extras in pieces)).completion().answers[0].message

    assert message.extras == {
        "reasoning_content": "ab",
        "audio": {"id": "x", "data": "AABB"},
        "details": [{"index": 0, "text": "pq"}, {"index": 1, "text": "r"}],
        "n": 2,
        "links": ["l", "m"],
    }
    assert repr(pieces) == before


def test_a_partial_completion_does_not_change_afterwards() -> None:
    builder = built(Delta(extras={"audio": {"data": "A"}, "list": [1]}))
    partial = builder.partial()
    before = repr(partial)

    builder.add(Delta(extras={"audio": {"data": "B"}, "list": [2]}))

    assert repr(partial) == before


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        (  # OpenAI: the id once, arguments in pieces
            [ToolCallDelta(0, "a", "f"), ToolCallDelta(0, arguments="{"), ToolCallDelta(0, arguments="}")],
            [ToolCallPart("a", "f", "{}")],
        ),
        (  # some servers repeat id and name
            [ToolCallDelta(0, "a", "f", "{"), ToolCallDelta(0, "a", "f", "}")],
            [ToolCallPart("a", "f", "{}")],
        ),
        (  # some give every call the index 0
            [ToolCallDelta(0, "a", "f", "{}"), ToolCallDelta(0, "b", "g", "[]")],
            [ToolCallPart("a", "f", "{}"), ToolCallPart("b", "g", "[]")],
        ),
        (  # interleaved
            [
                ToolCallDelta(0, "a", "f"),
                ToolCallDelta(1, "b", "g"),
                ToolCallDelta(0, arguments="x"),
                ToolCallDelta(1, arguments="y"),
            ],
            [ToolCallPart("a", "f", "x"), ToolCallPart("b", "g", "y")],
        ),
    ],
)
def test_tool_calls_are_joined(pieces: list[ToolCallDelta], calls: list[ToolCallPart]) -> None:
    completion = built(*(Delta(tool_calls=(piece,)) for piece in pieces)).completion()

    assert completion.answers[0].message.tool_calls == tuple(calls)
