"""Replies and streams of Amazon Bedrock's Converse."""

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from spoken import PNG, arguments, ids, names, words

from send2llm.domain.completion import Completion, Delta, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import ForeignPart, ImagePart, ReasoningPart, TextPart, ToolCallPart
from send2llm.infrastructure.formats.bedrock import ConverseEvents, read_embeddings, read_reply, write_messages
from send2llm.infrastructure.formats.openai_chat import parse_reply, write_reply
from send2llm.infrastructure.providers.bedrock import ConverseReader
from send2llm.infrastructure.providers.event_stream import EventStreamSplitter
from send2llm.testing.bedrock_server import answer, answer_events, event
from send2llm.testing.event_stream import message

TOOL_USE = {"toolUse": {"toolUseId": "tooluse_1", "name": "top_song", "input": {"sign": "WZPZ"}}}


def read(body: dict[str, Any]) -> Completion:
    data = orjson.dumps(body)
    return read_reply(data, parse_reply(data))


def folded(deltas: list[Delta]) -> Completion:
    builder = CompletionBuilder()
    for delta in deltas:
        builder.add(delta)
    return builder.completion()


def streamed(pieces: list[bytes]) -> list[Delta]:
    splitter, reader = EventStreamSplitter(), ConverseReader()
    return [delta for piece in pieces for event in splitter.feed(piece) for delta in reader.read(event)]


def test_a_reply_as_the_documentation_has_it() -> None:
    # https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html
    completion = read(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Here's a list"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 125, "outputTokens": 60, "totalTokens": 185},
            "metrics": {"latencyMs": 1175},
        }
    )

    assert completion.answers[0].message.text == "Here's a list"
    assert completion.answers[0].finish_reason == "stop"
    assert completion.usage == Usage(125, 60)
    assert completion.format == "bedrock"


def test_the_prompt_is_what_was_read_what_was_kept_and_the_rest() -> None:
    counts = {"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 20}

    usage = read(answer([{"text": "x"}], usage={**counts, "totalTokens": 132})).usage

    assert usage == Usage(125, 7, cache_read_input_tokens=100, cache_write_input_tokens=20)


WRITTEN = {"inputTokens": 5, "outputTokens": 7, "cacheWriteInputTokens": 50}
FOR_AN_HOUR = {"ttl": "1h", "inputTokens": 30}
FOR_FIVE_MINUTES = {"ttl": "5m", "inputTokens": 20}


@pytest.mark.parametrize(
    ("details", "for_an_hour"),
    [
        ([FOR_AN_HOUR, FOR_FIVE_MINUTES], 30),
        ([FOR_FIVE_MINUTES], 0),
        ([{"ttl": "1h", "inputTokens": 51}], 50),
        ([], 0),
        (None, 0),
        ([7, {"ttl": "1h"}, {"ttl": "1h", "inputTokens": -3}, {"ttl": "1d", "inputTokens": 9}], 0),
        ({"ttl": "1h"}, 0),
    ],
)
def test_what_is_kept_for_an_hour_is_told_apart(details: Any, for_an_hour: int) -> None:
    counts = {**WRITTEN, "cacheDetails": details}

    whole = read(answer([{"text": "x"}], usage=counts)).usage
    pieces = folded(streamed(answer_events([{"text": "x"}], usage=counts))).usage

    expected = Usage(55, 7, cache_write_input_tokens=50, cache_write_1h_input_tokens=for_an_hour)
    assert (whole, pieces) == (expected, expected)


@pytest.mark.parametrize("count", [-5, 10**19, "7", 1.5, None])
def test_a_count_that_makes_no_sense_counts_as_none(count: Any) -> None:
    assert read(answer([], usage={"inputTokens": 7, "outputTokens": count})).usage == Usage(7, 0)
    assert read(answer([], usage={"inputTokens": count})).usage is None
    assert read(answer([], usage=None)).usage is None


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "stop"),
    ],
)
def test_stop_reasons(reason: str, finish_reason: str) -> None:
    assert read(answer([], reason=reason)).answers[0].finish_reason == finish_reason
    assert folded(streamed(answer_events([], reason=reason))).answers[0].finish_reason == finish_reason


def test_blocks_of_all_kinds() -> None:
    document = {"document": {"name": "d", "source": {"text": "x"}}}
    server_tool = {"toolUse": {"toolUseId": "a", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    citation = {"title": "t", "location": {"web": {"url": "u"}}}
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "AAA="}},
        {"text": "Look:"},
        {"citationsContent": {"content": [{"text": "said"}], "citations": [citation]}},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        document,
        server_tool,
        TOOL_USE,
    ]

    said = read(answer(blocks)).answers[0].message

    assert said.parts == (
        ReasoningPart("hm", "sig"),
        ReasoningPart("", "AAA=", extras={"redactedContent": True}),
        TextPart("Look:"),
        TextPart("said", extras={"citations": [citation]}),
        ImagePart(f"data:image/png;base64,{PNG}"),
        ForeignPart("bedrock", document),
        ForeignPart("bedrock", server_tool),
        ToolCallPart("tooluse_1", "top_song", '{"sign":"WZPZ"}'),
    )
    assert write_messages([said])[1][0]["content"] == blocks


def test_a_stream_with_what_only_makes_sense_whole() -> None:
    start = {"start": {"image": {"format": "png"}}, "contentBlockIndex": 0}
    tool = {"start": {"toolUse": {"toolUseId": "a", "name": "s", "type": "server_tool_use"}}, "contentBlockIndex": 1}
    deltas: list[tuple[int, Any]] = [
        (0, {"image": {"source": {"bytes": "iVBORw=="}}}),
        (0, {"image": {"source": {"bytes": "DQoaCg=="}}}),
        (1, {"toolUse": {"input": '{"q":'}}),
        (1, {"toolUse": {"input": "1}"}}),
        (2, {"text": "As it says"}),
        (2, {"citation": {"title": "one"}}),
        (2, {"citation": {"title": "two"}}),
        (3, {"reasoningContent": {"redactedContent": "AAA="}}),
        (3, {"reasoningContent": {"redactedContent": "AQ=="}}),
    ]
    events = [event("contentBlockStart", start), event("contentBlockStart", tool)]
    events += [event("contentBlockDelta", {"delta": delta, "contentBlockIndex": place}) for place, delta in deltas]
    events += [event("contentBlockStop", {"contentBlockIndex": place}) for place in range(4)]

    parts = folded(streamed([*events, event("messageStop", {"stopReason": "end_turn"})])).answers[0].message.parts

    assert parts == (
        ImagePart(f"data:image/png;base64,{PNG}"),
        ForeignPart(
            "bedrock",
            {"toolUse": {"toolUseId": "a", "name": "s", "type": "server_tool_use", "input": '{"q":1}'}},
        ),
        TextPart("As it says", extras={"citations": [{"title": "one"}, {"title": "two"}]}),
        ReasoningPart("", "AAAB", extras={"redactedContent": True}),
    )


blocks = st.lists(
    st.one_of(
        st.builds(lambda text: {"text": text}, words),
        st.builds(
            lambda text, signature: {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}},
            words,
            words,
        ),
        st.builds(
            lambda id_, name, given: {"toolUse": {"toolUseId": id_, "name": name, "input": given}},
            ids,
            names,
            arguments,
        ),
    ),
    max_size=5,
    unique_by=lambda block: block.get("toolUse", {}).get("toolUseId", json.dumps(block)),
)


@given(blocks)
def test_what_was_read_is_written_as_it_was(blocks: list[dict[str, Any]]) -> None:
    completion = read(answer(blocks))

    _, turns = write_messages([completion.answers[0].message])

    assert turns == ([{"role": "assistant", "content": blocks}] if blocks else [])


@given(blocks)
def test_a_stream_says_what_the_whole_says(blocks: list[dict[str, Any]]) -> None:
    whole, streamed_ = read(answer(blocks)), folded(streamed(answer_events(blocks)))

    assert streamed_.usage == whole.usage
    assert streamed_.answers[0].finish_reason == whole.answers[0].finish_reason
    assert _loaded(streamed_) == _loaded(whole)


def _loaded(completion: Completion) -> list[Any]:
    """The parts, with arguments as they are meant."""
    parts = completion.answers[0].message.parts
    return [(p.id, p.name, json.loads(p.arguments)) if isinstance(p, ToolCallPart) else p for p in parts]


@given(blocks)
def test_a_caller_of_another_format_gets_texts_and_calls(blocks: list[dict[str, Any]]) -> None:
    told = write_reply(read(answer(blocks)), created=1)["choices"][0]["message"]

    texts = "".join(block.get("text", "") for block in blocks)
    assert (told["content"] or "") == texts
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    calls = [(call["id"], json.loads(call["function"]["arguments"])) for call in told.get("tool_calls", [])]
    assert calls == [(use["toolUseId"], use["input"]) for use in uses]


def test_a_stream_may_be_cut_anywhere() -> None:
    whole = b"".join(answer_events([{"text": "añb \N{SNOWMAN} \N{PILE OF POO}"}, TOOL_USE]))
    at_once = streamed([whole])

    for place in range(1, len(whole)):
        assert streamed([whole[:place], whole[place:]]) == at_once
    assert streamed([whole[n : n + 1] for n in range(len(whole))]) == at_once
    assert b"".join(delta.raw or b"" for delta in at_once) == whole


def test_a_damaged_message_comes_after_what_was_whole() -> None:
    first, second = event("messageStart", {"role": "assistant"}), bytearray(event("messageStop", {"stopReason": "x"}))
    second[-6] ^= 1
    splitter = EventStreamSplitter()

    assert len(splitter.feed(first + bytes(second))) == 1
    with pytest.raises(MalformedReply, match="damaged"):
        splitter.end()
    with pytest.raises(MalformedReply, match="damaged"):
        splitter.feed(b"")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_messages_are_an_error_or_nothing(piece: bytes) -> None:
    splitter = EventStreamSplitter()

    with suppress(MalformedReply):
        assert splitter.feed(piece) == []


@pytest.mark.parametrize("headers", [{}, {":message-type": "event"}, {":message-type": "exception"}])
def test_messages_without_their_headers_are_malformed(headers: dict[str, str]) -> None:
    with pytest.raises(MalformedReply):
        EventStreamSplitter().feed(message(headers, b"{}"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": 4},
        {"output": {}},
        {"output": {"message": {"content": {}}}, "stopReason": "end_turn"},
        {"output": {"message": {"content": ["x"]}}, "stopReason": "end_turn"},
        {"output": {"message": {"content": [{"text": 1}]}}, "stopReason": "end_turn"},
        {"output": {"message": {"content": [{"toolUse": {"name": "f"}}]}}, "stopReason": "end_turn"},
        {"output": {"message": {"content": [{"image": {"format": "png", "source": 1}}]}}, "stopReason": "end_turn"},
        {"output": {"message": {"content": []}}, "stopReason": 4},
    ],
)
def test_a_reply_that_is_not_the_format_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply, match=r"Converse: (output|stopReason)"):
        read(body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("messageStart", []),
        ("contentBlockStart", {"start": {}}),
        ("contentBlockStart", {"start": {"toolUse": {"toolUseId": 1}}, "contentBlockIndex": 0}),
        ("contentBlockDelta", {"contentBlockIndex": 0}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": 4}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
        ("contentBlockDelta", {"contentBlockIndex": True, "delta": {"text": "a"}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "?"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "ü"}}}),
        ("contentBlockStop", {}),
        ("messageStop", {"stopReason": None}),
    ],
)
def test_an_event_that_is_not_the_format_is_malformed(kind: str, body: Any) -> None:
    with pytest.raises(MalformedReply, match=kind):
        ConverseEvents().read(kind, body, b"")


@pytest.mark.parametrize("payload", [b'1, "b": 2', b"{", b"nonsense"])
def test_an_event_whose_payload_is_no_object_is_malformed(payload: bytes) -> None:
    headers = {":event-type": "messageStart", ":message-type": "event"}

    with pytest.raises(MalformedReply):
        streamed([message(headers, payload)])


def test_a_block_begins_once() -> None:
    begin = {"start": {"toolUse": {"toolUseId": "a", "name": "f"}}, "contentBlockIndex": 0}
    events = ConverseEvents()
    events.read("contentBlockStart", begin, b"")

    with pytest.raises(MalformedReply, match="begun already"):
        events.read("contentBlockStart", begin, b"")


def test_events_of_kinds_to_come_are_passed_over() -> None:
    (delta,) = ConverseEvents().read("somethingNew", {"a": 1}, b"raw")

    assert (delta.raw, delta.format, delta.says_something) == (b"raw", "bedrock", False)


def test_embeddings_of_both_vendors() -> None:
    titan = orjson.dumps({"embedding": [1.0, -0.5], "inputTextTokenCount": 3})
    old = orjson.dumps({"embeddings": [[1.0], [2.0]]})
    new = orjson.dumps({"embeddings": {"float": [[3.0]]}})

    completion, others = read_embeddings([titan, titan]), read_embeddings([old, new])

    assert [part.vector for part in completion.answers[0].message.parts] == ["AACAPwAAAL8=", "AACAPwAAAL8="]  # type: ignore[union-attr]
    assert completion.usage == Usage(6)
    assert len(others.answers[0].message.parts) == 3
    assert others.usage is None


@pytest.mark.parametrize("body", [{}, {"embedding": [1.0]}, {"embeddings": [["x"]]}, {"embeddings": [[]]}])
def test_embeddings_that_are_none_are_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply):
        read_embeddings([orjson.dumps(body)])
