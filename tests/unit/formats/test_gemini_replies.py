"""Replies of Gemini: whole, streamed, and cut anywhere."""

import json
import struct
from base64 import b64decode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import Answer, Completion, Delta, Usage, deltas_of
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import ContentFiltered, MalformedReply, ProviderError, RequestRejected
from send2llm.domain.message import (
    EmbeddingPart,
    ForeignPart,
    ImagePart,
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
    read_embeddings,
    read_reply,
    read_usage,
    write_event,
    write_reply,
    write_usage,
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


DOCUMENTED = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "First, the flight.", "thought": True},
                    {"text": "Let me see."},
                    {
                        "functionCall": {"name": "check_flight", "args": {"flight": "AA100"}},
                        "thoughtSignature": "U2lnQQ==",
                    },
                    {"functionCall": {"name": "book_taxi", "args": {}, "id": "given"}},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "toolUsePromptTokenCount": 7,
        "totalTokenCount": 157,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
    },
    "modelVersion": "gemini-3-pro-preview",
    "responseId": "mAitaLegENPsqtsPvqKzKQ",
}


def test_a_documented_reply_means_this() -> None:
    body = json.dumps(DOCUMENTED).encode()

    assert read_reply(body) == Completion(
        answers=(
            Answer(
                Message(
                    "assistant",
                    (
                        ReasoningPart("First, the flight."),
                        TextPart("Let me see."),
                        ToolCallPart(
                            "call_mAitaLegENPsqtsPvqKzKQ_0",
                            "check_flight",
                            '{"flight":"AA100"}',
                            extras={"thoughtSignature": "U2lnQQ=="},
                        ),
                        ToolCallPart("given", "book_taxi", "{}"),
                    ),
                    format="gemini",
                ),
                "tool_calls",
            ),
        ),
        response_id="mAitaLegENPsqtsPvqKzKQ",
        response_model="gemini-3-pro-preview",
        usage=Usage(107, 50, cache_read_input_tokens=60, reasoning_output_tokens=30),
        format="gemini",
        body=body,
    )


def test_a_reply_is_written_as_it_was_read() -> None:
    completion = read(DOCUMENTED)

    body = write_reply(completion, TARGET)

    call = body["candidates"][0]["content"]["parts"][2]["functionCall"]
    assert call.pop("id") == "call_mAitaLegENPsqtsPvqKzKQ_0"  # the one thing that was made up
    written, documented = body["candidates"][0], DOCUMENTED["candidates"][0]  # type: ignore[index]
    assert written["content"] == documented["content"]
    assert written["finishReason"] == "STOP"
    assert (body["modelVersion"], body["responseId"]) == (DOCUMENTED["modelVersion"], DOCUMENTED["responseId"])
    assert read_usage(body["usageMetadata"]) == completion.usage


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("OTHER", "stop"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_why_an_answer_ended(reason: str, word: str) -> None:
    body = response(candidate({"text": "a"}, finish_reason=reason))

    assert read(body).answers[0].finish_reason == word
    assert streamed(body).answers[0].finish_reason == word


def test_an_answer_that_was_filtered_may_be_empty() -> None:
    (answer,) = read(response({"finishReason": "SAFETY", "index": 0})).answers

    assert answer == Answer(Message("assistant", (), format="gemini"), "content_filter")


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"])
def test_mistakes_of_the_model_are_no_answers(reason: str) -> None:
    body = response({"finishReason": reason, "finishMessage": "Malformed function call: ...", "index": 0})

    with pytest.raises(MalformedReply, match=reason):
        read(body)
    with pytest.raises(MalformedReply, match=reason):
        streamed(body)
    with pytest.raises(RequestRejected, match="signature"):
        read(response({"finishReason": "MISSING_THOUGHT_SIGNATURE"}))


def test_a_blocked_prompt_is_refused() -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5}}

    with pytest.raises(ContentFiltered, match="PROHIBITED_CONTENT") as caught:
        read(body)
    assert caught.value.may_be_charged
    with pytest.raises(ContentFiltered, match="PROHIBITED_CONTENT"):
        streamed(body)


def test_several_answers_come_in_their_order() -> None:
    body = response(candidate({"text": "b"}, index=1), candidate({"text": "a"}, finish_reason="MAX_TOKENS", index=0))

    assert [(answer.message.text, answer.finish_reason) for answer in read(body).answers] == [
        ("a", "length"),
        ("b", "stop"),
    ]
    assert streamed(body).answers == read(body).answers


def test_pictures_and_odd_parts_of_an_answer() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "U2ln"}
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    body = response(candidate({"text": "Here:"}, picture, code))

    for completion in (read(body), streamed(body)):
        assert completion.answers[0].message.parts == (
            TextPart("Here:"),
            ImagePart("data:image/png;base64,AA==", extras={"thoughtSignature": "U2ln"}),
            ForeignPart("gemini", code),
        )


@pytest.mark.parametrize(
    ("usage", "meaning"),
    [
        (None, None),
        ([], None),
        ({}, None),
        ({"promptTokenCount": -5, "candidatesTokenCount": True}, None),
        ({"promptTokenCount": 10**13}, None),
        ({"promptTokenCount": 9}, Usage(9)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 12}, Usage(9, cache_read_input_tokens=9)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 20}, Usage(9, 11)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 4}, Usage(9, 4, reasoning_output_tokens=4)),
    ],
)
def test_usage(usage: Any, meaning: Usage | None) -> None:
    assert read_usage(usage) == meaning


counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts)
def test_usage_comes_back(prompt: int, cached: int, output: int, thought: int) -> None:
    usage = Usage(
        prompt, output, cache_read_input_tokens=min(cached, prompt), reasoning_output_tokens=min(thought, output)
    )

    assert (read_usage(write_usage(usage)) or Usage()) == usage


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


# What is no reply


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b'{"candidates": [', "not JSON"),
        (b"[]", "not an object"),
        (b'"hello"', "not an object"),
        (b"{}", "candidates is missing"),
        (b'{"candidates": []}', "candidates is missing"),
        (b'{"candidates": [5]}', r"candidates\.0 must be an object"),
        (b'{"candidates": [{"index": "x"}]}', r"candidates\.0\.index must be an integer"),
        (b'{"candidates": [{"content": []}]}', r"candidates\.0\.content must be an object"),
        (b'{"candidates": [{"content": {"parts": {}}}]}', r"candidates\.0\.content\.parts must be a list"),
        (b'{"candidates": [{"content": {"parts": [{"text": 5}]}}]}', r"candidates\.0\.content\.parts\.0\.text must"),
        (b'{"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}', r"functionCall\.name is missing"),
        (b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": 5}}]}}]}', r"\.args must be"),
        (
            b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "willContinue": true}}]}}]}',
            "must come whole",
        ),
        (b'{"candidates": [{"finishReason": 5}]}', r"candidates\.0\.finishReason must be a string"),
        (b'{"candidates": [{}], "responseId": 5}', "responseId must be a string"),
        (b'{"candidates": ' + b"[" * 300 + b"]" * 300 + b"}", "levels deep"),
    ],
)
def test_errors_name_the_field(body: bytes, problem: str) -> None:
    with pytest.raises(MalformedReply, match=problem):
        read_reply(body)


_FIELDS = [
    "candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args", "id",
    "inlineData", "mimeType", "data", "fileData", "fileUri", "mediaResolution", "level", "finishReason", "index",
    "usageMetadata", "promptTokenCount", "promptFeedback", "blockReason", "responseId", "modelVersion", "embeddings",
    "values", "predictions", "statistics", "token_count", "embedding", "role",
]  # fmt: skip
nonsense = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**14) | st.sampled_from(["STOP", "x", "image/png", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=3),
)
nearly = st.fixed_dictionaries(
    {"candidates": st.lists(st.fixed_dictionaries({"content": st.fixed_dictionaries({"parts": st.lists(nonsense)})}))},
    optional={"usageMetadata": nonsense, "responseId": nonsense},
)


@given(st.lists(nonsense | nearly, max_size=3))
def test_nonsense_is_a_provider_error_and_nothing_else(bodies: list[Any]) -> None:
    for read_one in (read_reply, lambda body: read_embeddings([body])):
        for body in bodies:
            with suppress(ProviderError):
                read_one(json.dumps(body).encode())
    answers, builder = StreamedAnswers(), CompletionBuilder()
    with suppress(ProviderError):
        for body in bodies:
            for delta in answers.read(parse_reply(json.dumps(body).encode()), b""):
                builder.add(delta)
        completion = builder.completion()
        assert completion.usage is None or completion.usage.input_tokens <= 10**12 * 2


# Embeddings


def test_vectors_are_32_bit_floats() -> None:
    bodies = [b'{"embeddings": [{"values": [0.5, -1e-3]}, {"values": [1]}]}', b'{"embeddings": [{"values": [2]}]}']

    completion = read_embeddings(bodies)

    vectors = [part.vector for part in completion.answers[0].message.parts if isinstance(part, EmbeddingPart)]
    assert [b64decode(vector) for vector in vectors] == [
        struct.pack("<2f", 0.5, -1e-3),
        struct.pack("<f", 1),
        struct.pack("<f", 2),
    ]
    assert completion.usage is None


def test_tokens_of_embeddings_add_up_if_all_are_known() -> None:
    counted = b'{"predictions": [{"embeddings": {"values": [1], "statistics": {"token_count": 4.0}}}]}'
    uncounted = b'{"predictions": [{"embeddings": {"values": [1]}}]}'
    newer = b'{"embedding": {"values": [1]}, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}'

    assert read_embeddings([counted, newer]).usage == Usage(7)
    assert read_embeddings([counted, uncounted]).usage is None


@pytest.mark.parametrize("values", ["[]", "null", '["a"]', "{}", "[null]", "[1e300]", "[1e39, -1e39]"])
def test_vectors_that_are_none_are_refused(values: str) -> None:
    with pytest.raises(MalformedReply, match="values"):
        read_embeddings([f'{{"embeddings": [{{"values": {values}}}]}}'.encode()])
