"""Replies and events of Anthropic's messages, from JSON into the domain and back; the official SDK is the judge."""

import json
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as SDKMessage
from hypothesis import given, strategies as st

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta, Usage, deltas_of
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import InvalidRequest, MalformedReply
from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from send2llm.infrastructure.formats.anthropic import (
    EventReader,
    EventWriter,
    read_reply,
    read_usage,
    write_reply,
    write_usage,
)
from send2llm.infrastructure.formats.anthropic.caller import AnthropicFormat
from send2llm.infrastructure.formats.anthropic.model_list import write_page
from send2llm.infrastructure.formats.caller_format import AnswerFacts, CallerRequest, ShownError
from send2llm.infrastructure.providers.sse import EventSplitter
from send2llm.testing.anthropic_server import PING, STOP, USAGE, event, events_of, message, text

FACTS = AnswerFacts(UUID(int=1), UUID(int=2), "acme", "m", 1)
CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "Grüße ☃"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
CONTENT = [
    {"type": "thinking", "thinking": "Let me see 💩", "signature": "EqQB"},
    {"type": "redacted_thinking", "data": "Emw="},
    text("I look:"),
    SEARCH,
    FOUND,
    text("Rain, they say.", citations=[CITATION]),
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "здесь", "n": 1}},
    {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
]
WHOLE = message(*CONTENT, stop_reason="tool_use")


def read_events(raw: Sequence[bytes]) -> list[Delta]:
    reader = EventReader()
    splitter = EventSplitter()
    found = [one for piece in raw for one in splitter.feed(piece)]
    return [delta for one in found for delta in reader.read(json.loads(one.data), one.raw)]


def folded(deltas: Sequence[Delta]) -> Completion:
    builder = CompletionBuilder()
    for delta in deltas:
        builder.add(delta)
    return builder.completion()


def read(body: dict[str, Any]) -> Completion:
    return read_reply(orjson.dumps(body))


def as_the_sdk_reads(stream: bytes) -> dict[str, Any]:
    """What the official SDK makes of a stream."""
    snapshot = None
    buffers: dict[int, bytes] = {}
    for one in EventSplitter().feed(stream):
        body = json.loads(one.data)
        if body["type"] != "ping":
            snapshot = accumulate_event(event=body, current_snapshot=cast("Any", snapshot), json_bufs=buffers)
    assert snapshot is not None
    return snapshot.to_dict()


def written(deltas: Sequence[Delta]) -> bytes:
    writer = EventWriter(response_id="msg_x", model="m")
    return writer.begin() + b"".join(writer.write([delta]) for delta in deltas) + writer.end()


def without_raw(deltas: Sequence[Delta]) -> list[Delta]:
    for delta in deltas:
        delta.raw = None
    return list(deltas)


def facts_only(completion: Completion) -> tuple[Any, ...]:
    return completion.answers, completion.response_id, completion.response_model, completion.usage


# Whole replies


def test_a_reply_in_words_of_the_domain() -> None:
    completion = read(WHOLE)
    (answer,) = completion.answers
    assert answer == Answer(
        Message(
            "assistant",
            (
                ReasoningPart("Let me see 💩", "EqQB"),
                ReasoningPart("", "Emw=", extras={"type": "redacted_thinking"}),
                TextPart("I look:"),
                ForeignPart("anthropic", SEARCH),
                ForeignPart("anthropic", FOUND),
                TextPart("Rain, they say.", extras={"citations": [CITATION]}),
                ToolCallPart("toolu_1", "look", '{"where":"здесь","n":1}'),
                ToolCallPart("toolu_2", "now", "{}"),
            ),
            format="anthropic",
        ),
        "tool_calls",
    )
    assert (completion.response_id, completion.response_model) == ("msg_fake", "claude-fake-5")
    assert completion.usage == Usage(9, 4)
    assert json.loads(completion.body) == WHOLE


def test_a_reply_that_was_read_comes_out_as_it_was() -> None:
    again = write_reply(read(WHOLE), response_id="other", model="other")
    assert again["content"] == CONTENT
    assert {name: again[name] for name in ("id", "model", "stop_reason", "role", "type")} == {
        "id": "msg_fake", "model": "claude-fake-5", "stop_reason": "tool_use", "role": "assistant", "type": "message",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stop", "finish_reason"),
    [
        ({"stop_reason": "end_turn"}, "stop"),
        ({"stop_reason": "max_tokens"}, "length"),
        ({"stop_reason": "stop_sequence", "stop_sequence": "END"}, "stop"),
        ({"stop_reason": "tool_use"}, "tool_calls"),
        ({"stop_reason": "pause_turn"}, "stop"),
        ({"stop_reason": "refusal", "stop_details": {"type": "refusal", "category": "bio"}}, "content_filter"),
        ({"stop_reason": "model_context_window_exceeded"}, "length"),
        ({"stop_reason": "brand_new"}, "stop"),
    ],
)
def test_why_it_ended_is_kept_for_callers_of_the_same_format(stop: dict[str, Any], finish_reason: str) -> None:
    body = message(text("x"), **stop)
    whole, streamed = read(body), folded(read_events(events_of(body)))
    assert whole.answers == streamed.answers
    assert whole.answers[0].finish_reason == finish_reason
    stream = as_the_sdk_reads(written(without_raw(read_events(events_of(body)))))
    for again in (write_reply(streamed, response_id="x", model="x"), stream):
        assert {name: again.get(name) for name in stop} == stop


@pytest.mark.parametrize(
    ("finish_reason", "parts", "stop_reason"),
    [
        ("stop", (TextPart("x"),), "end_turn"),
        ("length", (TextPart("x"),), "max_tokens"),
        ("tool_calls", (ToolCallPart("a", "f", "{}"),), "tool_use"),
        ("stop", (ToolCallPart("a", "f", "{}"),), "tool_use"),
        ("content_filter", (RefusalPart("No."),), "refusal"),
        ("odd", (), "end_turn"),
    ],
)
def test_answers_of_other_formats(finish_reason: str, parts: tuple[Any, ...], stop_reason: str) -> None:
    completion = Completion(
        (Answer(Message("assistant", parts), finish_reason),), "chatcmpl-1", "gpt", Usage(10, 3, 4, 2, 1)
    )
    body = json.loads(AnthropicFormat().write(completion, FACTS, CallerRequest("m", (), None)))  # type: ignore[arg-type]
    stream = as_the_sdk_reads(written(deltas_of(completion)))
    for said in (body, stream):
        assert said["stop_reason"] == stop_reason
        assert said["usage"]["input_tokens"] == 4
        assert said["usage"]["cache_read_input_tokens"] == 4
        assert said["usage"]["cache_creation_input_tokens"] == 2
        assert said["usage"]["output_tokens"] == 3
    assert stream["content"] == body["content"]
    assert (body["id"], body["model"]) == (f"msg_{UUID(int=2).hex}", "m")
    SDKMessage.model_validate(body)


def test_what_another_model_thought_is_shown_and_what_nobody_here_knows_is_not() -> None:
    parts = (ReasoningPart("hm", "sig"), TextPart(""), ForeignPart("openai", {"type": "audio"}), TextPart("Yes."),
             ImagePart("https://x/y.png"), ToolCallPart("", "f", "{no"))  # fmt: skip
    completion = Completion((Answer(Message("assistant", parts), "stop"),))
    content = write_reply(completion, response_id="r", model="m")["content"]
    assert content == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        text("Yes."),
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "tool_use", "id": "_", "name": "f", "input": {"INVALID_JSON": "{no"}},
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"{}", b'{"content": 4}', b'{"content": [{}]}', b'{"content": [{"type": "text"}]}',
        b'{"content": [], "stop_reason": 4}', b'{"content": [], "id": 4}', b"[" * 300 + b"]" * 300,
        b'{"content": [{"type": "tool_use", "id": "a", "name": "b", "input": "x"}]}',
    ],
)  # fmt: skip
def test_what_is_no_reply_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        read_reply(body)


# Usage


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (USAGE, Usage(9, 4)),
        ({"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50,
          "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
          "output_tokens_details": {"thinking_tokens": 1}}, Usage(153, 2, 100, 50, 1, 30)),
        ({"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": None, "cache_creation": None}, Usage(3, 2)),
        ({"input_tokens": 3}, Usage(3, 0)),
        ({"input_tokens": -3, "output_tokens": 10**13}, None),
        ({"input_tokens": True, "output_tokens": "4"}, None),
        ({"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 9}},
         Usage(5, 0, 0, 5, 0, 5)),
        ({}, None), (None, None), ([], None), (4, None),
    ],
)  # fmt: skip
def test_usage(body: Any, usage: Usage | None) -> None:
    assert read_usage(body) == usage


COUNTS = st.integers(0, 1000)
USAGES = st.builds(
    lambda fresh, out, read, five, hour, thought: Usage(
        fresh + read + five + hour, out + thought, read, five + hour, thought, hour
    ),
    *[COUNTS] * 6,
)


@given(USAGES)
def test_usage_comes_out_as_it_was(usage: Usage) -> None:
    expected = None if not (usage.input_tokens or usage.output_tokens) else usage
    assert read_usage(write_usage(usage)) == expected


# Streams


def test_a_stream_comes_to_what_the_whole_reply_is() -> None:
    streamed = folded(read_events(events_of(WHOLE)))
    for call, spelled in zip(
        streamed.answers[0].message.tool_calls,
        ('{"where": "\\u0437\\u0434\\u0435\\u0441\\u044c", "n": 1}', "{}"),
        strict=True,
    ):
        assert json.loads(call.arguments) == json.loads(spelled)
    again = write_reply(streamed, response_id="x", model="x")
    assert again["content"] == CONTENT
    assert streamed.usage == Usage(9, 4)


def test_every_byte_of_a_stream_is_passed_on() -> None:
    raw = events_of(WHOLE)
    deltas = read_events(raw)
    assert b"".join(delta.raw or b"" for delta in deltas) == b"".join(raw)
    assert written(deltas) == b"".join(raw)
    assert {delta.format for delta in deltas} == {"anthropic"}


@pytest.mark.parametrize("size", range(1, 9))
def test_where_a_stream_is_cut_does_not_matter(size: int) -> None:
    raw = b"".join(events_of(WHOLE))
    cut = [raw[place : place + size] for place in range(0, len(raw), size)]
    assert read_events(cut) == read_events([raw])


def test_a_stream_that_is_written_anew_reads_as_the_provider_wrote_it() -> None:
    raw = events_of(WHOLE)
    again = written(without_raw(read_events(raw)))
    assert as_the_sdk_reads(again)["content"] == as_the_sdk_reads(b"".join(raw))["content"]
    assert folded(read_events([again])).answers == folded(read_events(raw)).answers
    assert folded(read_events([again])).usage == Usage(9, 4)


@given(st.sets(st.integers(0, 40)))
def test_written_and_passed_on_pieces_go_together(places: set[int]) -> None:
    """Whoever changes pieces on their way clears the bytes of the texts; the rest is passed on."""
    raw = events_of(
        message(text("one two three"), {"type": "thinking", "thinking": "hm", "signature": "s"}, text("four five"))
    )
    deltas = read_events(raw)
    for place in places:
        if place < len(deltas) and (deltas[place].text or deltas[place].reasoning):
            deltas[place].raw = None
    assert as_the_sdk_reads(written(deltas))["content"] == as_the_sdk_reads(b"".join(raw))["content"]


def test_pieces_of_openais_format_become_blocks_in_their_order() -> None:
    deltas = [
        Delta(role="assistant"), Delta(reasoning="hm"), Delta(reasoning=", well"), Delta(text="I "), Delta(text="look"),
        Delta(tool_calls=(ToolCallDelta(0, "a", "f"),)), Delta(tool_calls=(ToolCallDelta(0, arguments='{"x"'),)),
        Delta(tool_calls=(ToolCallDelta(1, "", "g", "{}"),)), Delta(tool_calls=(ToolCallDelta(0, arguments=": 1}"),)),
        Delta(text="other", index=1), Delta(finish_reason="tool_calls"), Delta(usage=Usage(7, 5)),
    ]  # fmt: skip
    stream = written(deltas)
    said = as_the_sdk_reads(stream)
    assert said["content"] == [
        {"type": "thinking", "thinking": "hm, well", "signature": ""},
        text("I look"),
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "toolu_x_1", "name": "g", "input": {}},
    ]
    assert said["stop_reason"] == "tool_use"
    assert (said["usage"]["input_tokens"], said["usage"]["output_tokens"]) == (7, 5)
    names = [line.removeprefix("event: ") for line in stream.decode().splitlines() if line.startswith("event")]
    assert names[:2] == ["message_start", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert names.count("content_block_start") == names.count("content_block_stop") == 4


def test_an_answer_in_which_nothing_is_said_is_a_message_too() -> None:
    said = as_the_sdk_reads(written([Delta(role="assistant"), Delta(finish_reason="stop")]))
    assert (said["content"], said["stop_reason"]) == ([], "end_turn")


def test_arguments_may_come_whole_with_the_beginning_of_a_call() -> None:
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}
    end = event("message_delta", delta={"stop_reason": "tool_use"})
    begin = event("content_block_start", index=0, content_block=call)
    raw = [event("message_start", message=message()), begin, event("content_block_stop", index=0), end, STOP]
    assert folded(read_events(raw)).answers[0].message.tool_calls == (ToolCallPart("a", "f", '{"x":1}'),)


def test_kinds_of_blocks_that_are_not_known_are_carried() -> None:
    raw = [
        event("message_start", message=message()),
        event("content_block_start", index=0, content_block={"type": "compaction", "content": None}),
        event("content_block_delta", index=0, delta={"type": "compaction_delta", "content": "short"}),
        event("content_block_delta", index=0, delta={"type": "compaction_delta", "content": "er"}),
        event("content_block_stop", index=0),
        event("something_new", x=1),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
        STOP,
    ]
    deltas = read_events(raw)
    assert folded(deltas).answers[0].message.parts == (
        ForeignPart("anthropic", {"type": "compaction", "content": "shorter"}),
    )
    assert b"".join(delta.raw or b"" for delta in deltas) == b"".join(raw)


def test_usage_is_told_at_the_end_only_and_from_both_ends_together() -> None:
    usage = {**USAGE, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10,
             "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10}}  # fmt: skip
    deltas = read_events(events_of(message(text("x"), usage=usage)))
    assert [delta.usage for delta in deltas if delta.usage] == [Usage(119, 4, 100, 10, 0, 10)]
    assert deltas[-2].usage is not None


START = event("message_start", message=message())
BEGIN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
PIECE = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"})
CLOSE = event("content_block_stop", index=0)


@pytest.mark.parametrize(
    "raw",
    [
        [PIECE],
        [CLOSE],
        [BEGIN, BEGIN],
        [BEGIN, CLOSE, PIECE],
        [BEGIN, CLOSE, CLOSE],
        [event("content_block_start", index=0, content_block={})],
        [event("content_block_start", index=0)],
        [event("content_block_start", index=-1, content_block={"type": "text"})],
        [event("content_block_start", index="0", content_block={"type": "text"})],
        [event("content_block_start", index=0, content_block={"type": "tool_use", "name": "f"})],
        [event("content_block_start", index=0, content_block={"type": "redacted_thinking"})],
        [BEGIN, event("content_block_delta", index=0, delta={"type": "text_delta"})],
        [BEGIN, event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "x"})],
        [BEGIN, event("content_block_delta", index=0, delta=4)],
        [event("message_start", message=4)],
        [event("message_delta", delta=4)],
        [event("message_delta", delta={"stop_reason": 4})],
        [b'data: {"no": "type"}\n\n'],
        [event("content_block_start", index=0, content_block=SEARCH),
         event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "{"}), CLOSE],
    ],
)  # fmt: skip
def test_a_stream_out_of_order_is_malformed(raw: list[bytes]) -> None:
    with pytest.raises(MalformedReply):
        read_events([START, *raw])


def test_pings_say_nothing_and_are_passed_on() -> None:
    (delta,) = read_events([PING])
    assert (delta.raw, delta.says_something) == (PING, False)


FIELDS = st.sampled_from(["type", "index", "delta", "content_block", "message", "usage", "text", "id"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
)
KINDS = st.sampled_from(["start", "delta", "stop"]).flatmap(
    lambda end: st.sampled_from([f"message_{end}", f"content_block_{end}", "x"])
)


@given(st.lists(st.tuples(KINDS, st.dictionaries(FIELDS.filter(lambda name: name != "type"), JSON)), max_size=5))
def test_any_events_are_read_or_malformed(events: list[tuple[str, dict[str, Any]]]) -> None:
    reader = EventReader()
    writer = EventWriter(response_id="msg_x", model="m")
    try:
        for kind, fields in events:
            writer.write(without_raw(reader.read({"type": kind, **fields}, b"")))
    except MalformedReply:
        return
    writer.end()


# Errors and lists


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"), (404, "not_found_error"),
     (409, "conflict_error"), (413, "request_too_large"), (422, "invalid_request_error"), (429, "rate_limit_error"),
     (500, "api_error"), (502, "api_error"), (503, "overloaded_error"), (504, "timeout_error")],
)  # fmt: skip
def test_errors(status: int, kind: str) -> None:
    shown = ShownError(status, "t", "the_code", "What to do.", "messages.0", {"budget": {"limit_usd": "1"}}, "r-1")
    body = json.loads(AnthropicFormat().error(shown))
    assert body == {
        "type": "error",
        "error": {
            "type": kind,
            "message": "What to do.",
            "details": {"error_code": "the_code", "param": "messages.0", "budget": {"limit_usd": "1"}},
        },
        "request_id": "r-1",
    }
    streamed = EventWriter(response_id="x", model="m").error(shown)
    assert streamed == b"event: error\ndata: " + AnthropicFormat().error(shown) + b"\n\n"


def test_pages_of_models() -> None:
    names = [f"m{n}" for n in range(5)]
    first = write_page(names, limit=2)
    assert ([one["id"] for one in first["data"]], first["has_more"], first["last_id"]) == (["m0", "m1"], True, "m1")
    last = write_page(names, limit=3, after="m1")
    assert ([one["id"] for one in last["data"]], last["has_more"]) == (["m2", "m3", "m4"], False)
    back = write_page(names, limit=2, before="m4")
    assert ([one["id"] for one in back["data"]], back["has_more"]) == (["m2", "m3"], True)
    assert write_page([]) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=12),
    st.integers(1, 5),
    st.sampled_from([("after", "last_id"), ("before", "first_id")]),
)
def test_pages_come_to_an_end_and_tell_each_model_once(names: list[str], limit: int, way: tuple[str, str]) -> None:
    direction, end = way
    models = list(dict.fromkeys([*names, "last"]))
    bound, told = (None, []) if direction == "after" else ("last", ["last"])
    for _ in range(len(models) + 1):
        page = write_page([*names, "last"], limit=limit, **{direction: bound})
        found = [one["id"] for one in page["data"]]
        told = [*told, *found] if direction == "after" else [*found, *told]
        if not page["has_more"]:
            break
        assert len(found) == limit
        bound = page[end]

    assert (page["has_more"], told) == (False, models)


@pytest.mark.parametrize("bound", ["after", "before"])
def test_a_model_that_is_gone_is_no_place_to_go_on_from(bound: str) -> None:
    with pytest.raises(InvalidRequest, match="Begin anew") as caught:
        write_page(["a", "b"], **{bound: "c"})
    assert caught.value.param == f"{bound}_id"
