"""Replies and events of OpenAI's chat completions, from JSON into the domain and back."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta, Usage
from send2llm.domain.errors import MalformedReply
from send2llm.domain.message import ForeignPart, Message, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from send2llm.infrastructure.formats.openai_chat import (
    is_only_usage,
    parse_reply,
    read_chunk,
    read_reply,
    read_usage,
    write_chunk,
    write_reply,
)


def reply(*choices: dict[str, Any], **fields: Any) -> bytes:
    return orjson.dumps({"id": "chatcmpl-1", "model": "gpt-x", "choices": choices, **fields})


def choice(index: int = 0, finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}


def read(chunk: dict[str, Any], raw: bytes = b"") -> list[Delta]:
    return read_chunk(chunk, orjson.dumps(chunk), raw)


def chunk(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "model": "gpt-x",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


# Whole replies


def test_a_reply_in_words_of_the_domain() -> None:
    body = reply(
        choice(
            content="Paris.",
            refusal=None,
            annotations=[{"type": "url_citation"}],
            reasoning_content="France, so",
            tool_calls=[{"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        ),
        usage={
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    )

    completion = read_reply(body)

    message = Message(
        "assistant",
        (ReasoningPart("France, so"), TextPart("Paris."), ToolCallPart("t1", "look", "{}")),
        extras={"annotations": [{"type": "url_citation"}]},
    )
    assert completion == Completion(
        answers=(Answer(message, "stop"),),
        response_id="chatcmpl-1",
        response_model="gpt-x",
        usage=Usage(10, 5, cache_read_input_tokens=4, reasoning_output_tokens=3),
        format="openai",
        body=body,
    )


def test_answers_come_in_the_order_of_their_index() -> None:
    completion = read_reply(reply(choice(1, content="b"), choice(0, content="a", finish_reason="length")))

    assert [answer.message.text for answer in completion.answers] == ["a", "b"]
    assert [answer.finish_reason for answer in completion.answers] == ["length", "stop"]


def test_a_missing_finish_reason_is_a_stop() -> None:
    assert read_reply(reply(choice(content="a", finish_reason=None))).answers[0].finish_reason == "stop"


def test_a_refusal_and_unknown_parts_are_kept() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    completion = read_reply(reply(choice(content=[thinking, {"type": "text", "text": "No."}], refusal="I cannot.")))

    parts = (ForeignPart("openai", thinking), TextPart("No."), RefusalPart("I cannot."))
    assert completion.answers[0].message.parts == parts


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b'{"choices": [',
        b'"text"',
        b"[]",
        b"{}",
        b'{"choices": {}}',
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": "hi"}]}',
        b'{"choices": [{"message": {"content": 4}}]}',
        b'{"choices": [{"message": {"content": "x"}, "finish_reason": 4}]}',
        b'{"id": 4, "choices": [{"message": {"content": "x"}}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
    ],
)
def test_what_is_not_the_format_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        read_reply(body)


def test_a_malformed_reply_names_the_place_but_quotes_nothing() -> None:
    with pytest.raises(MalformedReply) as caught:
        read_reply(reply(choice(content={"secret": "prompt"})))

    assert "choices.0.message.content must be a string or a list of parts, not an object" in str(caught.value)
    assert "secret" not in str(caught.value)


# Usage and cost


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Usage(3, 2)),
        (  # DeepSeek
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_cache_hit_tokens": 8,
                "prompt_cache_miss_tokens": 1,
            },
            Usage(9, 2, cache_read_input_tokens=8),
        ),
        (  # OpenRouter
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 4},
            },
            Usage(9, 2, cache_read_input_tokens=3, cache_write_input_tokens=4),
        ),
        (  # xAI: reasoning is no part of the completion, but of the total
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 111,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            Usage(9, 102, reasoning_output_tokens=100),
        ),
        ({"prompt_tokens": 9, "total_tokens": 9}, Usage(9, 0)),
        (  # parts are never more than the whole
            {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 7}},
            Usage(5, 1, cache_read_input_tokens=5),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": "many", "completion_tokens": None}, None),
        ({"prompt_tokens": 1, "completion_tokens": -1, "prompt_tokens_details": None}, Usage(1, 0)),
        ("none", None),
        (None, None),
    ],
)
def test_usage_in_many_dialects(body: object, usage: Usage | None) -> None:
    assert read_usage(body) == usage


@pytest.mark.parametrize(
    ("cost", "amount"),
    [
        (b"0.000123456789012345678901", Decimal("0.000123456789012345678901")),
        (b"1e-7", Decimal("1e-7")),
        (b"0", Decimal(0)),
        (b'"0.5"', Decimal("0.5")),
        (b'{"total_cost": 0.006, "input_tokens_cost": 0.001}', Decimal("0.006")),
        (b"-1", None),
        (b"null", None),
        (b"true", None),
        (b'"free"', None),
        (b"[]", None),
    ],
)
def test_a_reported_cost_is_exact(cost: bytes, amount: Decimal | None) -> None:
    usage = b'{"prompt_tokens": 1, "completion_tokens": 1, "cost": ' + cost + b"}"
    body = b'{"choices": [{"message": {"content": "x"}}], "usage": ' + usage + b"}"
    event = b'{"choices": [], "usage": ' + usage + b"}"

    assert read_reply(body).reported_cost_usd == amount
    assert read_chunk(parse_reply(event), event, b"")[0].reported_cost_usd == amount


# Events of a stream


def test_an_event_in_words_of_the_domain() -> None:
    assert read(chunk(role="assistant", content=""), b"raw") == [
        Delta(role="assistant", response_id="c1", response_model="gpt-x", raw=b"raw", format="openai")
    ]
    assert read(chunk(content="Par"))[0].text == "Par"
    assert read(chunk(finish_reason="stop"))[0].finish_reason == "stop"
    assert read(chunk(refusal="No"))[0].refusal == "No"
    assert read(chunk(reasoning_content="Hm", content=None))[0].reasoning == "Hm"
    thought = read(chunk(reasoning="Hm", content=None))[0]
    assert (thought.reasoning, thought.part_extras) == ("Hm", {"field": "reasoning"})


def test_pieces_of_tool_calls() -> None:
    begin = {
        "index": 1,
        "id": "t1",
        "type": "function",
        "function": {"name": "look", "arguments": ""},
        "x_sign": "s",
    }
    more = {"index": 1, "function": {"arguments": '{"a"'}}
    custom = {"index": 0, "id": "t2", "type": "custom", "custom": {"name": "run", "input": "ls"}}

    assert read(chunk(tool_calls=[begin, more, custom]))[0].tool_calls == (
        ToolCallDelta(1, "t1", "look", extras={"x_sign": "s"}),
        ToolCallDelta(1, arguments='{"a"'),
        ToolCallDelta(0, "t2", "run", "ls", extras={"type": "custom"}),
    )


def test_several_choices_in_one_event_are_several_pieces_and_one_raw() -> None:
    two = [{"index": n, "delta": {"content": word}} for n, word in enumerate("ab")]

    pieces = read({"id": "c1", "choices": two}, b"raw")

    assert [(piece.index, piece.text, piece.raw) for piece in pieces] == [(0, "a", b"raw"), (1, "b", b"")]


def test_the_report_at_the_end_is_no_piece_of_an_answer() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    (report,) = read({"id": "c1", "choices": [], "usage": usage}, b"raw")
    (both,) = read({**chunk(finish_reason="stop"), "usage": usage})

    assert (report.usage, report.raw) == (Usage(3, 2), b"raw")
    assert is_only_usage(report)
    assert not is_only_usage(both)
    assert not is_only_usage(Delta())


def test_text_among_streamed_parts_is_text() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}

    assert read(chunk(content=[thinking]))[0].text == ""
    assert read(chunk(content=[{"type": "text"}]))[0].text == ""
    assert read(chunk(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]))[0].text == "ab"


@pytest.mark.parametrize(
    "body",
    [
        {"choices": {}},
        {"choices": ["x"]},
        {"choices": [{"delta": "x"}]},
        {"choices": [{"delta": {"content": 4}}]},
        {"choices": [{"delta": {"tool_calls": "f"}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {}}}]}}]},
        {"choices": [{"index": "0", "delta": {}}]},
        {"choices": [{"delta": {}, "finish_reason": 1}]},
        {"id": 1, "choices": []},
    ],
)
def test_an_event_that_is_not_the_format_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedReply):
        read(body)


# Written for callers: the official SDK's models are the judges


def test_a_written_reply_is_what_the_sdk_expects() -> None:
    call = ToolCallPart("t1", "look", "{}")
    refused = Message("assistant", (RefusalPart("No."),))
    completion = Completion(
        (Answer(Message("assistant", (TextPart("a"), call)), "tool_calls"), Answer(refused, "stop")),
        "r1",
        "model-x",
        Usage(3, 2, cache_read_input_tokens=1, reasoning_output_tokens=1),
    )

    parsed = ChatCompletion.model_validate(write_reply(completion, created=1), strict=True)

    assert parsed.choices[0].message.content == "a"
    assert parsed.choices[0].message.tool_calls is not None
    assert parsed.choices[1].message.refusal == "No."
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == 5
    assert write_reply(completion, created=1, response_id="mine", model="alias")["id"] == "mine"


def test_a_written_reply_is_read_as_it_was() -> None:
    message = Message("assistant", (TextPart("a"), ToolCallPart("t", "f", "{}", extras={"x": 1})), extras={"y": "z"})
    completion = Completion((Answer(message, "tool_calls"),), "r1", "m", Usage(3, 2))

    again = read_reply(orjson.dumps(write_reply(completion, created=1)))

    assert (again.answers, again.usage, again.response_id) == (completion.answers, completion.usage, "r1")


@pytest.mark.parametrize(
    "delta",
    [
        Delta(role="assistant"),
        Delta(text="ä\n\u2028"),
        Delta(refusal="No", index=1),
        Delta(tool_calls=(ToolCallDelta(0, "t1", "look"), ToolCallDelta(1, arguments="{}", extras={"x": 1}))),
        Delta(reasoning="hm"),
        Delta(extras={"x_mood": "good"}),
        Delta(finish_reason="length"),
        Delta(usage=Usage(3, 2, cache_read_input_tokens=1)),
    ],
)
def test_a_written_event_is_what_the_sdk_expects_and_reads_as_it_was(delta: Delta) -> None:
    event = write_chunk(delta, response_id="r1", model="m", created=1)
    data = event.removeprefix(b"data: ").removesuffix(b"\n\n")

    ChatCompletionChunk.model_validate_json(data)
    delta.response_id, delta.response_model, delta.raw, delta.format = "r1", "m", b"", "openai"
    assert read_chunk(parse_reply(data), data, b"") == [delta]
    assert event.count(b"\n") == 2


def test_a_piece_of_a_custom_tool_call_is_read_as_it_was() -> None:
    delta = Delta(
        tool_calls=(ToolCallDelta(0, "t1", "run", "ls", extras={"type": "custom"}),),
        response_id="r",
        raw=b"",
        format="openai",
    )
    data = write_chunk(delta, response_id="r", model="", created=1).removeprefix(b"data: ").removesuffix(b"\n\n")

    assert read_chunk(parse_reply(data), data, b"") == [delta]


@pytest.mark.parametrize("count", [10**19, -5, 10**40, "7", 1.5])
def test_a_count_that_makes_no_sense_counts_as_none(count):
    usage = read_usage({"prompt_tokens": 7, "completion_tokens": count})

    assert usage is not None
    assert usage.input_tokens == 7
    assert usage.output_tokens == 0


def test_a_reply_that_could_not_be_stored_is_malformed():
    deep = b'{"choices": ' + b"[" * 250 + b"]" * 250 + b"}"

    with pytest.raises(MalformedReply, match="200 levels"):
        parse_reply(deep)
