"""Replies and events of OpenAI's responses, both ways."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from test_responses_requests import outputs

from send2llm.domain.completion import Answer, Completion, Delta, Parameters, ToolCallDelta, Usage, deltas_of
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.continuation import INSTRUCTIONS
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import (
    ContentPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.caller_format import AnswerFacts, CallerRequest, ShownError
from send2llm.infrastructure.formats.responses import EventsReader, ResponseFrame, read_reply, write_input, write_reply
from send2llm.infrastructure.formats.responses.caller import EventWriter, ResponsesFormat
from send2llm.infrastructure.formats.responses.usage import read_usage, write_usage
from send2llm.infrastructure.providers.sse import EventSplitter
from send2llm.testing.responses_server import event as framed, events_of, function_call, message, reasoning, response

FACTS = AnswerFacts(UUID(int=1), UUID(int=2), "p", "m", 1_700_000_000)
FRAME = ResponseFrame(FACTS, (Message("user", (TextPart("Hi"),)),), Parameters())
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def whole(*output: Any, **fields: Any) -> Completion:
    body = json.dumps(response(*output, **fields)).encode()
    return read_reply(body, orjson.loads(body))


def folded(deltas: Sequence[Delta]) -> Completion:
    builder = CompletionBuilder()
    for delta in deltas:
        builder.add(delta)
    return builder.completion()


def streamed(*output: Any, **fields: Any) -> list[Delta]:
    reader = EventsReader()
    deltas = [delta for one in events_of(response(*output, **fields)) for delta in reader.read(one, framed(one))]
    assert reader.ended
    return deltas


def without_body(completion: Completion) -> Completion:
    return replace(completion, body=b"", format="")


# Read


def test_a_reply() -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
    }
    read = whole(
        reasoning("Hm.", encrypted="cipher"),
        message("Hi", annotations=[{"type": "file_path", "file_id": "f", "index": 0}]),
        function_call("weather", "{}"),
        usage=usage,
    )

    assert (read.response_id, read.response_model) == ("resp_fake", "fake-model-1")
    assert read.usage == Usage(100, 50, 60, 10, 20)
    (answer,) = read.answers
    assert answer.finish_reason == "tool_calls"
    assert answer.message.parts == (
        ReasoningPart("Hm.", "cipher", extras={"item": {"id": "rs_1"}}),
        TextPart(
            "Hi",
            extras={"annotations": [{"type": "file_path", "file_id": "f", "index": 0}], "item": {"id": "msg_0"}},
        ),
        ToolCallPart("call_1", "weather", "{}", extras={"id": "fc_1"}),
    )


@pytest.mark.parametrize(
    ("reason", "finish_reason"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("x", "stop")]
)
def test_an_answer_that_was_cut_short(reason: str, finish_reason: str) -> None:
    fields = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    assert whole("Hi", **fields).answers[0].finish_reason == finish_reason
    assert folded(streamed("Hi", **fields)).answers[0].finish_reason == finish_reason


@pytest.mark.parametrize(
    "usage", [None, {}, [], {"input_tokens": -1}, {"input_tokens": "9"}, {"output_tokens": 10**15}]
)
def test_a_usage_that_makes_no_sense_is_none(usage: Any) -> None:
    assert read_usage(usage) is None


@given(st.builds(Usage, st.integers(1, 99), st.integers(1, 99)))
def test_usage_is_written_as_it_was_read(usage: Usage) -> None:
    assert read_usage(write_usage(usage)) == usage


@pytest.mark.parametrize(
    ("output", "place"),
    [(None, "output"), ("x", "output"), (["x"], "output.0"), ([{"type": "message"}], "output.0.content")],
)
def test_what_is_wrong_in_a_reply_is_named(output: Any, place: str) -> None:
    with pytest.raises(MalformedReply, match=f"responses: {place} "):
        read_reply(b"{}", {**response(), "output": output})


MALFORMED_EVENTS: list[Any] = [
    {},
    {"type": 5},
    {"type": "response.created"},
    {"type": "response.completed", "response": []},
    {"type": "response.output_item.added", "item": []},
    {"type": "response.output_item.added", "item": {"type": "function_call"}},
    {"type": "response.output_text.delta", "delta": "x", "output_index": 7},
    {"type": "response.output_text.delta", "delta": 5, "output_index": 0},
    {"type": "response.output_text.delta", "delta": "x", "output_index": "0"},
    {"type": "response.function_call_arguments.delta", "delta": "x", "output_index": 0},
    {"type": "response.output_item.done", "output_index": 0},
    {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": [5]}},
]


@pytest.mark.parametrize("wrong", MALFORMED_EVENTS)
def test_what_is_wrong_in_an_event_is_told(wrong: Any) -> None:
    reader = EventsReader()
    for one in events_of(response("Hi"))[:3]:
        reader.read(one, b"")
    with pytest.raises(MalformedReply):
        reader.read(wrong, b"")


def test_events_of_other_kinds_are_passed_on() -> None:
    reader = EventsReader()
    (delta,) = reader.read({"type": "response.web_search_call.searching", "output_index": 0}, b"raw")
    assert (delta.raw, delta.format, delta.says_something) == (b"raw", "responses", False)


@given(outputs)
def test_a_stream_amounts_to_the_same_as_the_whole(output: list[dict[str, Any]]) -> None:
    assert folded(streamed(*output)) == without_body(whole(*output))


def test_an_empty_text_says_nothing() -> None:
    assert folded(streamed("", "Hi")).answers[0].message.text == whole("", "Hi").answers[0].message.text == "Hi"


@given(outputs)
def test_every_event_is_passed_on_once(output: list[dict[str, Any]]) -> None:
    events = events_of(response(*output))
    assert b"".join(delta.raw or b"" for delta in streamed(*output)) == b"".join(map(framed, events))


@given(outputs, st.data())
def test_it_does_not_matter_where_the_network_cut_the_stream(output: list[dict[str, Any]], data: Any) -> None:
    stream = b"".join(map(framed, events_of(response("Grüße 🙂", *output))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=20)))
    splitter, reader = EventSplitter(), EventsReader()
    deltas: list[Delta] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        for one in splitter.feed(stream[begin:end]):
            deltas += reader.read(orjson.loads(one.data), one.raw)
    assert folded(deltas) == folded(streamed("Grüße 🙂", *output))
    assert splitter.end() == []


@pytest.mark.parametrize(
    "kept",
    [
        r"response\.\w+$|.*(?<!delta)$",  # whole parts
        r"response\.(\w+|output_item\.\w+)$",  # whole items
        r"response\.(\w+|output_item\.done)$",  # not even announced
        r"response\.\w+$",  # all at the end
        r"(?!.*(item|part)\.done).*$",  # nothing is closed
    ],
)
@given(output=outputs)
def test_what_did_not_come_piece_by_piece_is_taken_from_what_ends_it(kept: str, output: list[dict[str, Any]]) -> None:
    """Servers that follow OpenAI leave out one event or another."""
    reader = EventsReader()
    events = [one for one in events_of(response(*output)) if re.match(kept, one["type"])]
    deltas = [delta for one in events for delta in reader.read(one, framed(one))]
    if "(?!" in kept:  # the ciphertext comes only when a thought ends
        assert shown(folded(deltas)) == shown(whole(*(one for one in output if one["type"] not in ENDED_ONLY)))
    else:
        assert folded(deltas) == without_body(whole(*output))


ENDED_ONLY = ("web_search_call",)


def shown(completion: Completion) -> Any:
    """What was said, its order, and how it ended."""
    return [
        (
            type(part).__name__,
            getattr(part, "text", None),
            getattr(part, "arguments", None),
            getattr(part, "refusal", None),
        )
        for part in completion.answers[0].message.parts
        if part not in (RefusalPart(""), TextPart("")) and getattr(part, "text", "x") + getattr(part, "refusal", "")
    ], completion.answers[0].finish_reason


# Written


def written(completion: Completion) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(orjson.dumps(write_reply(completion, FRAME), default=dict))
    return body


def events_written(deltas: Sequence[Delta]) -> list[dict[str, Any]]:
    writer = EventWriter(FRAME)
    data = writer.begin() + b"".join(writer.write([delta]) for delta in deltas) + writer.end()
    return [orjson.loads(one.data) for one in EventSplitter().feed(data)]


ANSWERS = st.lists(
    st.builds(TextPart, st.text(min_size=1, max_size=6))
    | st.builds(ReasoningPart, st.text(min_size=1, max_size=6), st.text(max_size=3))
    | st.builds(RefusalPart, st.text(min_size=1, max_size=6))
    | st.builds(ToolCallPart, st.sampled_from(["a", "b"]), st.just("f"), st.text(max_size=6)),
    max_size=5,
)
"""Answers of another format."""


def foreign(parts: list[ContentPart], finish_reason: str = "stop") -> Completion:
    message = Message("assistant", tuple(parts), format="anthropic")
    return Completion((Answer(message, finish_reason),), "r", "m", Usage(3, 2))


@given(ANSWERS, st.sampled_from(["stop", "tool_calls", "length", "content_filter"]))
def test_the_official_sdk_reads_what_is_written(parts: list[ContentPart], finish_reason: str) -> None:
    body = written(foreign(parts, finish_reason))
    read = Response.model_validate(body, strict=False)

    assert read.output_text == "".join(part.text for part in parts if isinstance(part, TextPart))
    calls = [item for item in read.output if item.type == "function_call"]
    assert [(one.call_id, one.name, one.arguments) for one in calls] == [
        (part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCallPart)
    ]
    assert [item.summary[0].text for item in read.output if item.type == "reasoning"] == [
        "".join(text) for text in thoughts_of(parts)
    ]
    assert read.status == ("incomplete" if finish_reason in ("length", "content_filter") else "completed")
    assert len({item.id for item in read.output}) == len(read.output)


def thoughts_of(parts: Sequence[ContentPart]) -> list[str]:
    """The first text of each run of thoughts."""
    return [
        part.text
        for place, part in enumerate(parts)
        if isinstance(part, ReasoningPart) and not (place and isinstance(parts[place - 1], ReasoningPart))
    ]


@given(ANSWERS)
def test_a_streamed_answer_is_written_as_the_whole_is(parts: list[ContentPart]) -> None:
    completion = foreign(parts)
    events = events_written(deltas_of(completion))

    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    assert [one["type"] for one in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1] == {
        "type": "response.completed",
        "sequence_number": len(events) - 1,
        "response": written(completion),
    }
    for one in events:
        EVENTS.validate_python(one)  # the official SDK knows every one of them
    assert [item for one in events if one["type"] == "response.output_item.done" for item in [one["item"]]] == sorted(
        (item for item in events[-1]["response"]["output"]),
        key=lambda item: [one["item"]["id"] for one in events if one["type"] == "response.output_item.done"].index(
            item["id"]
        ),
    )


@given(ANSWERS)
def test_what_is_written_is_read_as_the_same(parts: list[ContentPart]) -> None:
    reader = EventsReader()
    deltas = [delta for one in events_written(deltas_of(foreign(parts))) for delta in reader.read(one, b"")]
    assert shown(folded(deltas)) == shown(
        replace(foreign(parts), answers=folded(deltas_of(foreign(parts))).answers)
    ) or (any(isinstance(part, ToolCallPart) for part in parts))
    assert folded(deltas).usage == Usage(3, 2)


@given(outputs)
def test_a_native_answer_is_written_as_it_was_read(output: list[dict[str, Any]]) -> None:
    def plain(items: list[dict[str, Any]]) -> Any:
        return write_input([Message("assistant", whole(*items).answers[0].message.parts, format="responses")])

    again = written(whole(*output))["output"]
    assert plain(again) == plain(output)


@given(outputs, st.integers(0, 60))
def test_a_writer_goes_on_where_the_providers_own_bytes_end(output: list[dict[str, Any]], place: int) -> None:
    """A message handler may have taken the bytes away, from some piece on."""
    deltas = streamed(*output)
    for delta in deltas[place:]:
        delta.raw = None
    events = events_written(deltas)

    assert {one["response"]["id"] for one in events if "response" in one} == {FRAME.id}
    assert events[-1]["type"] == "response.completed"
    read = read_reply(b"", events[-1]["response"])
    assert shown(read) == shown(whole(*output))
    added = [one["output_index"] for one in events if one["type"] == "response.output_item.added"]
    assert added == sorted(set(added))


def test_pieces_of_a_chat_stream() -> None:
    deltas = [
        Delta(role="assistant"),
        Delta(reasoning="Hm"),
        Delta(reasoning="m."),
        Delta(text="Look"),
        Delta(text=": "),
        Delta(tool_calls=(ToolCallDelta(0, "call_1", "f"),)),
        Delta(tool_calls=(ToolCallDelta(1, "call_2", "g", "{"),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments="{}"),)),
        Delta(tool_calls=(ToolCallDelta(1, arguments="}"),)),
        Delta(text="done"),
        Delta(finish_reason="tool_calls"),
        Delta(usage=Usage(1, 2)),
    ]
    events = events_written(deltas)
    output = events[-1]["response"]["output"]

    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "Hmm."}]
    assert output[1]["content"][0]["text"] == "Look: done"
    assert [(item["call_id"], item["arguments"]) for item in output[2:]] == [("call_1", "{}"), ("call_2", "{}")]
    assert read_reply(b"", events[-1]["response"]).answers[0].message.text == folded(deltas).answers[0].message.text


def test_a_picture_is_an_item_of_its_own() -> None:
    body = written(foreign([TextPart("Here:"), ImagePart("data:image/png;base64,AAAA")]))
    picture = body["output"][1]
    assert (picture["type"], picture["result"], picture["status"]) == ("image_generation_call", "AAAA", "completed")


def test_what_only_another_format_has_is_not_shown() -> None:
    parts: list[ContentPart] = [ReasoningPart("", "cipher"), TextPart("Hi"), ForeignPart("anthropic", {"type": "x"})]
    (item,) = written(foreign(parts))["output"]
    assert item["content"][0]["text"] == "Hi"
    assert b"cipher" not in orjson.dumps(written(foreign([ReasoningPart("Hm.", "cipher")])))


def test_the_request_is_told_again() -> None:
    parameters = Parameters(
        temperature=0.5,
        reasoning_effort="low",
        response_format={"type": "json_object"},
        format="responses",
        extras={"metadata": {"a": "b"}, "store": False, "previous_response_id": "resp_0", "text": {"verbosity": "low"}},
    )
    said = (Message("system", (TextPart("Be kind."),), extras={INSTRUCTIONS: True}), Message("user", (TextPart("Hi"),)))
    body = ResponseFrame(FACTS, said, parameters).body("in_progress")

    assert {
        "instructions": "Be kind.",
        "temperature": 0.5,
        "reasoning": {"effort": "low", "summary": None},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "metadata": {"a": "b"},
        "store": False,
        "previous_response_id": "resp_0",
        "tools": [],
        "tool_choice": "auto",
    }.items() <= body.items()
    Response.model_validate(body)


def test_an_error_is_told_in_both_ways() -> None:
    writer = EventWriter(FRAME)
    data = writer.write([Delta(text="Hi")]) + writer.error(ShownError(502, "server_error", "broken", "It broke."))
    events = [orjson.loads(one.data) for one in EventSplitter().feed(data)]

    failed, error = events[-2:]
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "It broke. (broken)"}
    assert (error["type"], error["code"], error["error"]["message"]) == ("error", "broken", "It broke.")
    Response.model_validate(failed["response"])


def test_a_whole_native_body_is_passed_on() -> None:
    format_ = ResponsesFormat()
    parameters = Parameters(format="responses", extras={"store": False, "previous_response_id": "resp_before"})
    request = CallerRequest("m", (), parameters)
    completion = whole("Hi", new_field={"deep": [1.25]})

    given_back = orjson.loads(format_.write(completion, FACTS, request))
    sent = orjson.loads(completion.body)
    assert given_back == {**sent, "id": FRAME.id, "previous_response_id": "resp_before", "store": False}


def test_a_chat_caller_gets_what_a_native_provider_says() -> None:
    completion = whole(reasoning("Hm."), "one", message("two", "msg_2"), function_call("f", "{}"))
    body = openai_chat.write_reply(completion, created=1)["choices"][0]
    assert body["message"]["content"] == "onetwo"
    assert body["message"]["reasoning_content"] == "Hm."
    assert body["message"]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
    assert body["finish_reason"] == "tool_calls"
