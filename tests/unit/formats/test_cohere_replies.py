"""Replies and streams of Cohere's chat."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from spoken import arguments, ids, names, words

from send2llm.domain.completion import Completion, Delta, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import ForeignPart, ReasoningPart, TextPart, ToolCallPart
from send2llm.infrastructure.formats.cohere import ChatEvents, read_embeddings, read_reply, write_messages
from send2llm.infrastructure.formats.openai_chat import parse_reply, write_reply
from send2llm.infrastructure.providers.cohere import CohereReader
from send2llm.infrastructure.providers.sse import EventSplitter
from send2llm.testing.cohere_server import USAGE, answer, answer_events, call

PLAN = {"field": "tool_plan"}
CITATION = {
    "start": 5,
    "end": 8,
    "text": "20C",
    "sources": [{"type": "tool", "id": "w:0", "tool_output": {"t": "20C"}}],
}


def read(body: dict[str, Any]) -> Completion:
    data = orjson.dumps(body)
    return read_reply(data, parse_reply(data))


def folded(deltas: list[Delta]) -> Completion:
    builder = CompletionBuilder()
    for delta in deltas:
        builder.add(delta)
    return builder.completion()


def streamed(pieces: list[bytes]) -> list[Delta]:
    splitter, reader = EventSplitter(), CohereReader()
    return [delta for piece in pieces for event in splitter.feed(piece) for delta in reader.read(event)]


def test_a_reply_with_tool_calls_as_the_documentation_has_it() -> None:
    # https://docs.cohere.com/v2/docs/tool-use-overview
    message = {"tool_plan": "I will look.", "tool_calls": [call("get_weather_1", "get_weather", '{"at":"Toronto"}')]}

    completion = read(answer(message, identifier="c14c80c3"))

    assert completion.answers[0].message.parts == (
        ReasoningPart("I will look.", extras=PLAN),
        ToolCallPart("get_weather_1", "get_weather", '{"at":"Toronto"}'),
    )
    assert completion.answers[0].finish_reason == "tool_calls"
    assert completion.response_id == "c14c80c3"
    assert completion.format == "cohere"


def test_what_is_billed_is_the_usage() -> None:
    assert read(answer({}, usage=USAGE)).usage == Usage(9, 4)
    assert read(answer({}, usage={"tokens": {"input_tokens": 209, "output_tokens": 6}})).usage == Usage(209, 6)
    nothing = {"input_tokens": 0, "output_tokens": 0}
    assert read(answer({}, usage={"billed_units": nothing, "tokens": {"input_tokens": 7}})).usage == Usage(7)
    cached = {"billed_units": {"input_tokens": 9.0, "output_tokens": 4.0}, "cached_tokens": 8.0}
    assert read(answer({}, usage=cached)).usage == Usage(9, 4, cache_read_input_tokens=8)
    assert read(answer({}, usage={**cached, "cached_tokens": 900})).usage == Usage(9, 4, cache_read_input_tokens=9)


@pytest.mark.parametrize("count", [-5, 10**19, "7", 1.5, None, True])
def test_a_count_that_makes_no_sense_counts_as_none(count: Any) -> None:
    assert read(answer({}, usage={"billed_units": {"input_tokens": 7, "output_tokens": count}})).usage == Usage(7, 0)
    assert read(answer({}, usage={"billed_units": {"input_tokens": count}})).usage is None
    assert read(answer({}, usage=None)).usage is None


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(reason: str, finish_reason: str) -> None:
    assert read(answer({}, reason=reason)).answers[0].finish_reason == finish_reason
    assert folded(streamed(answer_events({}, reason=reason))).answers[0].finish_reason == finish_reason


def test_parts_of_all_kinds_are_written_as_they_were() -> None:
    content = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "It's 20C"},
        {"type": "picture", "x": 1},
    ]
    message = {"content": content, "citations": [CITATION]}

    said = read(answer(message)).answers[0].message

    assert said.parts == (ReasoningPart("hm"), TextPart("It's 20C"), ForeignPart("cohere", {"type": "picture", "x": 1}))
    assert write_messages([said]) == [{"role": "assistant", **message}]
    assert read(answer({"content": "plain"})).answers[0].message.text == "plain"


def test_citations_come_through_a_stream() -> None:
    message = {"content": [{"type": "text", "text": "It's 20C"}], "citations": [CITATION, CITATION]}

    assert folded(streamed(answer_events(message))).answers == read(answer(message)).answers


messages = st.fixed_dictionaries(
    {},
    optional={
        "tool_plan": words,
        "content": st.tuples(
            st.lists(st.builds(lambda text: {"type": "thinking", "thinking": text}, words), max_size=1),
            st.lists(st.builds(lambda text: {"type": "text", "text": text}, words), min_size=1, max_size=2),
        ).map(lambda blocks: [*blocks[0], *blocks[1]]),
        "tool_calls": st.lists(
            st.builds(lambda id_, name, given: call(id_, name, json.dumps(given)), ids, names, arguments),
            min_size=1,
            max_size=3,
            unique_by=lambda made: made["id"],
        ),
    },
)


@given(messages)
def test_what_was_read_is_written_as_it_was(message: dict[str, Any]) -> None:
    said = read(answer(message)).answers[0].message

    assert write_messages([said]) == ([{"role": "assistant", **message}] if message else [])


@given(messages)
def test_a_stream_says_what_the_whole_says(message: dict[str, Any]) -> None:
    whole, in_pieces = read(answer(message)), folded(streamed(answer_events(message)))

    assert (in_pieces.usage, in_pieces.response_id) == (whole.usage, whole.response_id)
    assert in_pieces.answers == whole.answers


@given(messages)
def test_a_caller_of_another_format_gets_texts_and_calls(message: dict[str, Any]) -> None:
    told = write_reply(read(answer(message)), created=1)["choices"][0]["message"]

    assert (told["content"] or "") == "".join(block.get("text", "") for block in message.get("content", []))
    assert told.get("tool_calls", []) == message.get("tool_calls", [])


def test_a_stream_may_be_cut_anywhere() -> None:
    calls = [call("a", "f", '{"x": "ü"}'), call("b", "g", "{}")]
    message = {
        "content": [{"type": "text", "text": "añb \N{SNOWMAN} \N{PILE OF POO}"}],
        "tool_plan": "hm",
        "tool_calls": calls,
    }
    whole = b"".join(answer_events(message))
    at_once = streamed([whole])

    for place in range(1, len(whole)):
        assert streamed([whole[:place], whole[place:]]) == at_once
    assert streamed([whole[n : n + 1] for n in range(len(whole))]) == at_once
    assert b"".join(delta.raw or b"" for delta in at_once) == whole


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "x", "finish_reason": "COMPLETE"},
        {"message": {"content": {}}, "finish_reason": "COMPLETE"},
        {"message": {"content": [4]}, "finish_reason": "COMPLETE"},
        {"message": {"content": [{"text": "x"}]}, "finish_reason": "COMPLETE"},
        {"message": {"content": [{"type": "text", "text": 1}]}, "finish_reason": "COMPLETE"},
        {"message": {"tool_calls": [{"id": "a"}]}, "finish_reason": "COMPLETE"},
        {"message": {"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}, "finish_reason": "COMPLETE"},
        {"message": {}, "finish_reason": 4},
        {"message": {}, "finish_reason": "COMPLETE", "id": 4},
    ],
)
def test_a_reply_that_is_not_the_format_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply, match=r"Cohere's chat: (message|finish_reason|id)"):
        read(body)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": 4},
        {"type": "content-delta", "delta": 4},
        {"type": "content-delta", "delta": {"message": {"content": {"text": 4}}}},
        {"type": "content-delta", "index": "0", "delta": {"message": {"content": {"text": "a"}}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": []}}},
        {"type": "tool-call-start", "delta": {"message": {"tool_calls": []}}},
        {"type": "tool-call-delta", "delta": {"message": {"tool_calls": {"function": {"arguments": {}}}}}},
        {"type": "citation-start", "delta": {"message": {"citations": "x"}}},
        {"type": "message-end", "delta": {}},
    ],
)
def test_an_event_that_is_not_the_format_is_malformed(event: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply, match="Cohere's chat"):
        ChatEvents().read(event, b"")


def test_embeddings() -> None:
    one = {"id": "e1", "embeddings": {"float": [[1.0, -0.5]]}, "meta": {"billed_units": {"input_tokens": 3.0}}}
    other = {"id": "e2", "embeddings": {"float": [[1.0, -0.5]]}}

    both = read_embeddings([orjson.dumps(one), orjson.dumps(one)])
    partly = read_embeddings([orjson.dumps(one), orjson.dumps(other)])

    assert [part.vector for part in both.answers[0].message.parts] == ["AACAPwAAAL8=", "AACAPwAAAL8="]  # type: ignore[union-attr]
    assert (both.usage, both.response_id, partly.usage) == (Usage(6), "e1", None)


@pytest.mark.parametrize("body", [{}, {"embeddings": [[1.0]]}, {"embeddings": {"int8": [[1]]}}])
def test_embeddings_that_are_none_are_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply):
        read_embeddings([orjson.dumps(body)])
