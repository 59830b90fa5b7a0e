"""Streams of Gemini, cut anywhere."""

import json
from typing import Any

from hypothesis import given, strategies as st

from send2llm.domain.completion import Answer, Completion, Delta, Usage, deltas_of
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.message import (
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.gemini import (
    StreamedAnswers,
    Target,
    parse_reply,
    read_reply,
    write_event,
    write_reply,
)
from send2llm.infrastructure.providers.sse import EventSplitter
from send2llm.testing.gemini_server import candidate, event, response

TARGET = Target("gemini-3-pro")


def read(body: dict[str, Any]) -> Completion:
    return read_reply(json.dumps(body).encode())


def streamed(*events: dict[str, Any]) -> Completion:
    answers = StreamedAnswers()
    builder = CompletionBuilder()
    for body in events:
        for delta in answers.read(body, b"raw"):
            builder.add(delta)
    return builder.completion()


# Streams


def test_a_stream_is_one_answer() -> None:
    events = [
        response(candidate({"text": "Hm, ", "thought": True}, finish_reason=None), usage={"promptTokenCount": 5}),
        response(candidate({"text": "well.", "thought": True}, finish_reason=None)),
        response(candidate({"text": "Good "}, finish_reason=None)),
        response(candidate({"text": "day"}, finish_reason=None)),
        response(candidate({"functionCall": {"name": "f", "args": {"x": 1}}}, finish_reason=None)),
        response(candidate({"functionCall": {"name": "f", "args": {}}}, {"text": "", "thoughtSignature": "U2ln"})),
    ]

    completion = streamed(*events)

    assert completion == Completion(
        (
            Answer(
                Message(
                    "assistant",
                    (
                        ReasoningPart("Hm, well."),
                        TextPart("Good day"),
                        ToolCallPart("call_fake-response_0", "f", '{"x":1}'),
                        ToolCallPart("call_fake-response_1", "f", "{}"),
                        TextPart("", extras={"thoughtSignature": "U2ln"}),
                    ),
                    format="gemini",
                ),
                "tool_calls",
            ),
        ),
        response_id="fake-response",
        response_model="gemini-fake-1",
        usage=Usage(9, 4),
    )


def test_a_signature_closes_the_text_before_it() -> None:
    signature = {"thoughtSignature": "U2ln"}
    events = [
        response(candidate({"text": "a"}, finish_reason=None)),
        response(candidate({"text": "", **signature}, {"text": "b"}, finish_reason=None)),
        response(candidate({"text": "c", **signature}, {"text": ""})),
    ]

    assert streamed(*events).answers[0].message.parts == (
        TextPart("a", extras=signature),
        TextPart("bc", extras=signature),
    )


def test_only_the_last_count_of_tokens_is_reported() -> None:
    answers = StreamedAnswers()
    begun = answers.read(response(candidate({"text": "a"}, finish_reason=None), usage={"promptTokenCount": 5}), b"")
    ended = answers.read(response(candidate({"text": "b"})), b"")
    after = answers.read(response(usage={"promptTokenCount": 5, "candidatesTokenCount": 1}), b"")

    assert [delta.usage for delta in begun if delta.usage] == []
    assert [delta.usage for delta in ended if delta.usage] == [Usage(9, 4)]
    assert [delta.usage for delta in after] == [Usage(5, 1)]


def test_a_stream_is_whole_when_each_answer_has_ended() -> None:
    answers = StreamedAnswers()
    assert not answers.is_whole
    answers.read(response(usage=None), b"")
    assert not answers.is_whole
    both = [candidate({"text": "a"}, index=0), candidate({"text": "b"}, index=1, finish_reason=None)]
    answers.read(response(*both), b"")
    assert not answers.is_whole
    answers.read(response(candidate(index=1)), b"")
    assert answers.is_whole


def test_the_first_piece_of_an_event_carries_its_bytes() -> None:
    deltas = StreamedAnswers().read(response(candidate({"text": "a"})), b"data: x\r\n\r\n")

    assert [delta.raw for delta in deltas] == [b"data: x\r\n\r\n", *[b""] * (len(deltas) - 1)]
    assert {delta.format for delta in deltas} == {"gemini"}


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
parts = (
    st.builds(TextPart, words)
    | st.builds(ReasoningPart, words, st.sampled_from(["", "U2ln"]))
    | st.builds(
        lambda name, body: ToolCallPart("", name, json.dumps(body, separators=(",", ":"), ensure_ascii=False)),
        st.text("abc", min_size=1, max_size=3),
        st.dictionaries(words, st.integers(-5, 5) | words, max_size=2),
    )
)


def numbered(drawn: list[Any]) -> tuple[Any, ...]:
    """Parts as an answer has them: calls with ids, and no two thoughts or texts beside each other."""
    made: list[Any] = []
    for place, part in enumerate(drawn):
        if isinstance(part, ToolCallPart):
            made.append(ToolCallPart(f"id-{place}", part.name, part.arguments))
        elif not made or type(made[-1]) is not type(part):
            made.append(part)
    return tuple(made)


answers_of = st.lists(parts, min_size=1, max_size=5).map(numbered)


@given(answers_of, st.sampled_from(["length", "content_filter"]))
def test_replies_and_events_come_back_as_they_were_written(said: tuple[Any, ...], reason: str) -> None:
    answer = Answer(Message("assistant", said, format="gemini"), reason)
    completion = Completion((answer,), "id", "model", Usage(9, 4))

    whole = read_reply(json.dumps(write_reply(completion, TARGET), default=dict).encode())
    assert (whole.answers, whole.usage) == (completion.answers, completion.usage)

    answers, builder = StreamedAnswers(), CompletionBuilder()
    for delta in deltas_of(completion):
        for event_ in EventSplitter().feed(write_event([delta], TARGET)):
            for piece in answers.read(parse_reply(event_.data), event_.raw):
                builder.add(piece)
    assert builder.completion().answers == completion.answers
    assert builder.completion().usage == completion.usage


@given(answers_of)
def test_an_answer_of_gemini_is_read_by_clients_of_openai(said: tuple[Any, ...]) -> None:
    completion = Completion((Answer(Message("assistant", said, format="gemini"), "stop"),), "id", "model", Usage(9, 4))

    body = openai_chat.write_reply(completion, created=1)
    message = openai_chat.read_reply(json.dumps(body).encode()).answers[0].message

    assert message.text == "".join(part.text for part in said if isinstance(part, TextPart))
    assert message.tool_calls == tuple(part for part in said if isinstance(part, ToolCallPart))


STREAM = b"".join(
    [
        b": keep-alive\r\n\r\n",
        event(response(candidate({"text": "Grüße, "}, finish_reason=None), usage={"promptTokenCount": 2})),
        event(response(candidate({"text": "Wörld 🌍"}, finish_reason=None))),
        event(response(candidate({"functionCall": {"name": "f", "args": {"ß": "é"}}, "thoughtSignature": "U2ln"}))),
    ]
)


def deltas_in(pieces: list[bytes]) -> list[Delta]:
    splitter, answers = EventSplitter(), StreamedAnswers()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.end()
    return [delta for event in events for delta in answers.read(parse_reply(event.data), event.raw)]


def test_a_stream_cut_at_any_byte_gives_the_same_deltas() -> None:
    whole = deltas_in([STREAM])

    assert b"".join(delta.raw or b"" for delta in whole) == STREAM.removeprefix(b": keep-alive\r\n\r\n")
    for cut in range(len(STREAM)):
        assert deltas_in([STREAM[:cut], STREAM[cut:]]) == whole
    assert deltas_in([bytes([byte]) for byte in STREAM]) == whole
