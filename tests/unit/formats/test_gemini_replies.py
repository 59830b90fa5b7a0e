"""Replies of Gemini: whole, streamed, and cut anywhere."""

import json
import struct
from base64 import b64decode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import Answer, Completion, Usage
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
from send2llm.infrastructure.formats.gemini import (
    StreamedAnswers,
    Target,
    parse_reply,
    read_embeddings,
    read_reply,
    read_usage,
    write_reply,
    write_usage,
)
from send2llm.testing.gemini_server import candidate, response

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
