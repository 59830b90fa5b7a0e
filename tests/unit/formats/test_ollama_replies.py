"""Replies and streams of Ollama's chat."""

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from spoken import arguments, ids, names, words

from send2llm.domain.completion import Completion, Delta, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import ReasoningPart, TextPart, ToolCallPart
from send2llm.infrastructure.formats.ollama import ChatLines, read_embeddings, read_reply, write_messages
from send2llm.infrastructure.formats.openai_chat import is_only_usage, parse_reply, write_reply
from send2llm.infrastructure.providers.ndjson import NdjsonSplitter
from send2llm.infrastructure.providers.ollama import OllamaReader
from send2llm.testing.ollama_server import USAGE, answer, answer_lines, call


def read(body: dict[str, Any]) -> Completion:
    data = orjson.dumps(body)
    return read_reply(data, parse_reply(data))


def folded(deltas: list[Delta]) -> Completion:
    builder = CompletionBuilder()
    for delta in deltas:
        builder.add(delta)
    return builder.completion()


def streamed(pieces: list[bytes]) -> list[Delta]:
    splitter, reader = NdjsonSplitter(), OllamaReader()
    return [delta for piece in pieces for event in splitter.feed(piece) for delta in reader.read(event)]


def test_a_reply_as_the_documentation_has_it() -> None:
    # https://docs.ollama.com/api/chat
    completion = read(
        {
            "model": "gemma3",
            "created_at": "2025-10-17T23:14:07.414671Z",
            "message": {"role": "assistant", "content": "Hello!", "thinking": "A greeting."},
            "done": True,
            "done_reason": "stop",
            "total_duration": 174560334,
            "load_duration": 101397084,
            "prompt_eval_count": 11,
            "prompt_eval_duration": 13074791,
            "eval_count": 18,
            "eval_duration": 52479709,
        }
    )

    assert completion.answers[0].message.parts == (ReasoningPart("A greeting."), TextPart("Hello!"))
    assert completion.answers[0].finish_reason == "stop"
    assert completion.usage == Usage(11, 18)
    assert completion.response_model == "gemma3"
    assert completion.format == "ollama"


@pytest.mark.parametrize("count", [-5, 10**19, "7", 1.5, None, True])
def test_a_count_that_makes_no_sense_counts_as_none(count: Any) -> None:
    assert read(answer({}, usage={"prompt_eval_count": 7, "eval_count": count})).usage == Usage(7, 0)
    assert read(answer({}, usage={"prompt_eval_count": count})).usage is None
    assert read(answer({}, usage=None)).usage is None


@pytest.mark.parametrize(
    ("reason", "calls", "finish_reason"),
    [
        ("stop", [], "stop"),
        ("load", [], "stop"),
        ("", [], "stop"),
        ("length", [], "length"),
        ("stop", [call("a", "f", {})], "tool_calls"),
        ("length", [call("a", "f", {})], "length"),
    ],
)
def test_reasons_to_be_done(reason: str, calls: list[Any], finish_reason: str) -> None:
    message = {"tool_calls": calls}

    assert read(answer(message, reason=reason)).answers[0].finish_reason == finish_reason
    assert folded(streamed(answer_lines(message, reason=reason))).answers[0].finish_reason == finish_reason


def test_calls_without_ids_get_some_that_are_always_the_same() -> None:
    message = {"tool_calls": [call(None, "f", {"x": 1}), call(None, "f", {"x": 1}, 1)]}

    first, second = read(answer(message)).answers[0].message.tool_calls
    in_pieces = folded(streamed(answer_lines(message))).answers[0].message.tool_calls
    other = read({**answer(message), "created_at": "2026-11-24T12:00:00Z"}).answers[0].message.tool_calls

    assert first.id != second.id
    assert in_pieces == (first, second)
    assert other[0].id != first.id
    assert first.id.startswith("call_")


def test_calls_may_come_several_in_a_line() -> None:
    calls = [call("a", "f", {}), call("b", "g", {"x": "ü"}, 1)]
    line = {"message": {"role": "assistant", "content": "", "tool_calls": calls}, "done": True}

    (delta,) = ChatLines().read(line, b"raw")

    assert [(piece.index, piece.id, piece.arguments) for piece in delta.tool_calls] == [
        (0, "a", "{}"),
        (1, "b", '{"x":"ü"}'),
    ]
    assert (delta.role, delta.finish_reason, delta.raw) == ("assistant", "tool_calls", b"raw")


messages = st.fixed_dictionaries(
    {},
    optional={
        "thinking": words,
        "content": words,
        "tool_calls": st.lists(
            st.tuples(ids, names, arguments), min_size=1, max_size=3, unique_by=lambda made: made[0]
        ).map(lambda calls: [call(*made, place) for place, made in enumerate(calls)]),
    },
)


@given(messages)
def test_what_was_read_is_written_as_it_was(message: dict[str, Any]) -> None:
    said = read(answer(message)).answers[0].message

    assert write_messages([said]) == ([{"role": "assistant", "content": "", **message}] if message else [])


@given(messages)
def test_a_stream_says_what_the_whole_says(message: dict[str, Any]) -> None:
    whole, in_pieces = read(answer(message)), folded(streamed(answer_lines(message)))

    assert in_pieces.answers == whole.answers
    assert (in_pieces.usage, in_pieces.response_model) == (whole.usage, whole.response_model)


@given(messages)
def test_a_caller_of_another_format_gets_texts_and_calls(message: dict[str, Any]) -> None:
    told = write_reply(read(answer(message)), created=1)["choices"][0]["message"]

    assert (told["content"] or "") == message.get("content", "")
    calls = [(made["id"], orjson.loads(made["function"]["arguments"])) for made in told.get("tool_calls", [])]
    assert calls == [(made["id"], made["function"]["arguments"]) for made in message.get("tool_calls", [])]


def test_a_stream_may_be_cut_anywhere() -> None:
    message = {
        "content": "añb \N{SNOWMAN} \N{PILE OF POO}",
        "thinking": "hm",
        "tool_calls": [call("a", "f", {"x": "ü"})],
    }
    whole = b"".join(answer_lines(message))
    at_once = streamed([whole])

    for place in range(1, len(whole)):
        assert streamed([whole[:place], whole[place:]]) == at_once
    assert streamed([whole[n : n + 1] for n in range(len(whole))]) == at_once
    assert b"".join(delta.raw or b"" for delta in at_once) == whole


def test_further_fields_of_a_message_are_carried() -> None:
    said = read(answer({"content": "a", "x_mood": "good"})).answers[0].message

    assert said.extras == {"x_mood": "good"}
    assert write_messages([said]) == [{"role": "assistant", "content": "a", "x_mood": "good"}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": 4},
        {"message": {"content": []}},
        {"message": {"thinking": 1}},
        {"message": {"tool_calls": {}}},
        {"message": {"tool_calls": [4]}},
        {"message": {"tool_calls": [{"id": "a"}]}},
        {"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}},
        {"message": {"tool_calls": [{"function": {"arguments": {}}}]}},
        {"message": {}, "model": 4},
        {"message": {}, "done_reason": 4},
    ],
)
def test_a_reply_that_is_not_the_format_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply, match=r"Ollama's chat: (message|model|done_reason)"):
        read(body)


@pytest.mark.parametrize(
    "line",
    [
        {"message": 4},
        {"message": {"content": []}},
        {"message": {"tool_calls": [{"function": 1}]}},
        {"done": "yes"},
        {"done": True, "done_reason": 4},
        {"model": []},
    ],
)
def test_a_line_that_is_not_the_format_is_malformed(line: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply, match="Ollama's chat"):
        ChatLines().read(line, b"")


def test_embeddings() -> None:
    completion = read_embeddings({"embeddings": [[1.0, -0.5], [1, 2]], "prompt_eval_count": 3})

    assert [part.vector for part in completion.answers[0].message.parts] == ["AACAPwAAAL8=", "AACAPwAAAEA="]  # type: ignore[union-attr]
    assert completion.usage == Usage(3)
    for wrong in ({}, {"embeddings": {}}, {"embeddings": [4]}, {"embeddings": [["x"]]}):
        with pytest.raises(MalformedReply):
            read_embeddings(wrong)


def test_usage_is_told_once() -> None:
    deltas = streamed(answer_lines({"content": "one two"}, usage=USAGE))

    assert [delta.usage for delta in deltas if delta.usage] == [Usage(9, 4)]
    assert is_only_usage(deltas[-1])
    assert deltas[-2].finish_reason == "stop"
    assert not any(isinstance(part, ToolCallPart) for part in folded(deltas).answers[0].message.parts)
