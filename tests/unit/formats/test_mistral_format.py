"""Mistral's format: what is asked, and what is made of answers, whole and streamed."""

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import Completion, EmbeddingParameters, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import MalformedReply, RequestRejected
from send2llm.domain.message import (
    ContentPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.mistral import (
    MistralChunks,
    read_message,
    read_reply,
    write_embedding_requests,
    write_messages,
    write_request,
)
from send2llm.infrastructure.formats.mistral.writing_messages import tool_call_id
from send2llm.testing.mistral_server import chunk, completion, thinking

TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def said(*parts: ContentPart, format_: str = "mistral", **fields: Any) -> Message:
    return Message("assistant", parts, format=format_, **fields)


def asked(body: dict[str, Any]) -> dict[str, Any]:
    """A request in OpenAI's format, as Mistral gets it."""
    read = openai_chat.read_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **body})
    return write_request(read.model, read.messages, read.parameters, stream=read.stream)


# Requests


def test_a_request_in_mistrals_words() -> None:
    written = asked(
        {
            "max_completion_tokens": 50,
            "seed": 7,
            "stop": "END",
            "n": 2,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
            "top_p": 0.9,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "parallel_tool_calls": False,
            "reasoning_effort": "high",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
            "tools": [TOOL, {"type": "function", "function": {"name": "g"}}],
            "tool_choice": "required",
            "store": True,
            "user": "u",
            "service_tier": "priority",
        }
    )
    assert written == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 50,
        "random_seed": 7,
        "stop": ["END"],
        "n": 2,
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "parallel_tool_calls": False,
        "reasoning_effort": "high",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        "tools": [TOOL, {"type": "function", "function": {"name": "g", "parameters": {}}}],
        "tool_choice": "required",
    }


def test_callers_of_openais_format_may_use_what_is_mistrals_own() -> None:
    own = {"safe_prompt": True, "prompt_mode": "reasoning", "random_seed": 3, "service_tier": "standard_only"}

    written = asked({**own, "tool_choice": "any"})

    assert {name: written[name] for name in own} == own
    assert written["tool_choice"] == "any"


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ({"logit_bias": {"1": 2}}, "'logit_bias' of OpenAI"),
        ({"web_search_options": {}}, "'web_search_options' of OpenAI"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "a tool of type 'custom'"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": "Hi", "name": "ada"}]}, "'name' of OpenAI"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "a part of type 'file'",
        ),
        ({"messages": [{"role": "function", "name": "f", "content": [{"type": "x"}]}]}, "names no call"),
    ],
)
def test_what_mistral_has_no_word_for_is_refused(field: dict[str, Any], named: str) -> None:
    with pytest.raises(RequestRejected, match=named):
        asked(field)


def test_parameters_of_other_formats_are_refused_by_name() -> None:
    with pytest.raises(RequestRejected, match="'safety_settings' of Google"):
        write_request("m", [], Parameters(format="gemini", extras={"safety_settings": []}))


def test_messages_in_mistrals_words() -> None:
    document = {"type": "document_url", "document_url": "https://a/b.pdf"}
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    messages = [
        Message("developer", (TextPart("Be kind."),)),
        Message(
            "user",
            (
                TextPart("See"),
                ImagePart("https://a/b.png"),
                ImagePart("https://a/c.png", "low"),
                ForeignPart("openai", document),
                ForeignPart("openai", audio),
            ),
        ),
        said(RefusalPart("No."), format_="openai"),
        said(TextPart("{"), format_="openai", extras={"prefix": True, "annotations": []}),
    ]
    assert write_messages(messages) == [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": "https://a/b.png"},
                {"type": "image_url", "image_url": {"url": "https://a/c.png", "detail": "low"}},
                document,
                {"type": "input_audio", "input_audio": "AAAA"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
        {"role": "assistant", "content": "{", "prefix": True},
    ]


def test_ids_of_tool_calls_get_mistrals_form_and_still_belong_together() -> None:
    written = write_messages(
        [
            said(ToolCallPart("call_abc_123", "f", "{}"), ToolCallPart("D681PevKs", "g", ""), format_="openai"),
            Message("tool", (ToolResultPart("call_abc_123", "one"), ToolResultPart("call_abc_123", "two"))),
            Message("tool", (ToolResultPart("D681PevKs", "three"),), name="g"),
        ]
    )
    first, second = (call["id"] for call in written[0]["tool_calls"])
    assert len(first) == 9
    assert first.isalnum()
    assert second == "D681PevKs"
    assert written[0]["content"] == ""
    assert written[1:] == [
        {
            "role": "tool",
            "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
            "tool_call_id": first,
        },
        {"role": "tool", "content": "three", "tool_call_id": second, "name": "g"},
    ]


@given(st.text(), st.text())
def test_ids_are_told_apart(one: str, other: str) -> None:
    assert (tool_call_id(one) == tool_call_id(other)) == (one == other)
    assert tool_call_id(tool_call_id(one)) == tool_call_id(one)


def test_thoughts_go_back_to_mistral_only() -> None:
    thought = ReasoningPart("hm", "sig", extras={"closed": True})

    assert write_messages([said(thought, TextPart("Yes"))]) == [
        {
            "role": "assistant",
            "content": [thinking("hm", signature="sig", closed=True), {"type": "text", "text": "Yes"}],
        }
    ]
    assert write_messages([said(thought, TextPart("Yes"), format_="anthropic")]) == [
        {"role": "assistant", "content": "Yes"}
    ]


def test_embeddings_in_mistrals_words() -> None:
    parameters = Parameters(embedding=EmbeddingParameters(dimensions=64), extras={"user": "u", "metadata": {"a": "b"}})

    (written,) = write_embedding_requests("e", [Message("user", (TextPart("one"),))], parameters)

    assert written == {"model": "e", "input": ["one"], "output_dimension": 64, "metadata": {"a": "b"}}
    with pytest.raises(RequestRejected, match="'output_dtype'"):
        write_embedding_requests("e", [], Parameters(extras={"output_dtype": "int8"}))


words = st.text(min_size=1, max_size=6)
spoken = st.lists(
    st.one_of(
        st.builds(lambda text: Message("user", (TextPart(text),)), words),
        st.builds(
            lambda text, url: Message("user", (TextPart(text), ImagePart(f"https://a/{len(url)}"))), words, words
        ),
        st.builds(lambda text, id_: said(TextPart(text), ToolCallPart(id_, "f", "{}"), format_="openai"), words, words),
        st.builds(lambda text, id_: Message("tool", (ToolResultPart(id_, text),)), words, words),
    ),
    max_size=6,
)


@given(spoken)
def test_what_was_said_in_another_format_is_said_here(messages: list[Message]) -> None:
    """Roles, texts, images and tool calls in their order; calls and results still belong together."""
    written = write_messages(messages)

    assert len(written) == len(messages)
    for body, message in zip(written, messages, strict=True):
        assert body["role"] == message.role
        content = body["content"] if isinstance(body["content"], list) else [{"type": "text", "text": body["content"]}]
        results = "".join(part.content for part in message.parts if isinstance(part, ToolResultPart))
        assert "".join(chunk.get("text", "") for chunk in content) == message.text + results
        images = [part.url for part in message.parts if isinstance(part, ImagePart)]
        assert [chunk["image_url"] for chunk in content if chunk["type"] == "image_url"] == images
        assert [call["id"] for call in body.get("tool_calls", [])] == [tool_call_id(c.id) for c in message.tool_calls]
        named = [part.tool_call_id for part in message.parts if isinstance(part, ToolResultPart)]
        assert ([body["tool_call_id"]] if named else []) == [tool_call_id(one) for one in named]


# Replies

texts = st.builds(TextPart, st.text(min_size=1, max_size=5))
thoughts = st.builds(
    ReasoningPart, st.text(max_size=5), st.text(max_size=3), extras=st.sampled_from([{}, {"closed": True}])
)
references = st.just(ForeignPart("mistral", {"type": "reference", "reference_ids": [1]}))
calls = st.builds(
    ToolCallPart, st.from_regex(r"\A[a-zA-Z0-9]{9}\Z"), st.just("f"), st.sampled_from(["{}", '{"a": 1}', "["])
)
answers = st.builds(
    lambda content, calls: said(*content, *calls), st.lists(texts | thoughts, max_size=4), st.lists(calls, max_size=2)
)


@given(answers)
def test_what_mistral_said_goes_back_as_it_was(message: Message) -> None:
    (written,) = write_messages([message])

    again = read_message(orjson.loads(orjson.dumps(written, default=dict)))

    expected = message.parts if written["content"] != "" else (TextPart(""), *message.parts)
    assert again.parts == expected
    assert again.format == "mistral"


def test_a_whole_reply() -> None:
    reference = {"type": "reference", "reference_ids": [1, "b"]}
    sourced = {"type": "thinking", "thinking": [{"type": "text", "text": "x"}, reference]}
    call = {"id": "D681PevKs", "index": 0, "function": {"name": "f", "arguments": {"a": 1}}}
    content = [thinking("Let me see. "), {"type": "text", "text": "Well"}, sourced, reference]
    usage = {
        "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 5}
    }  # fmt: skip

    read = read_reply(completion(content, finish_reason="model_length", tool_calls=[call], usage=usage))

    (answer,) = read.answers
    assert answer.message.parts == (
        ReasoningPart("Let me see. "),
        TextPart("Well"),
        ReasoningPart("x", extras={"thinking": [{"type": "text", "text": "x"}, reference]}),
        ForeignPart("mistral", reference),
        ToolCallPart("D681PevKs", "f", '{"a":1}', extras={"index": 0}),
    )
    assert (answer.finish_reason, read.usage) == ("length", Usage(9, 4, cache_read_input_tokens=5))
    assert (read.format, read.body, read.response_model) == ("mistral", b"", "fake-mistral-1")


def test_answers_come_in_their_order() -> None:
    body = completion("second")
    body["choices"] = [{**body["choices"][0], "index": 1}, completion("first")["choices"][0]]

    assert [answer.message.text for answer in read_reply(body).answers] == ["first", "second"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({}, "choices is missing"),
        ({"choices": {}}, "choices must be a list"),
        ({"choices": [1]}, "choices.0 must be an object"),
        ({"choices": [{"message": None}]}, "choices.0.message must be an object"),
        (completion([{"type": "text"}]), "choices.0.message.content.0.text is missing"),
        (completion([{"type": "thinking", "thinking": 1}]), "content.0.thinking must be a list"),
        (completion("x", tool_calls=[{"function": {}}]), "tool_calls.0.function.name is missing"),
        (completion("x", finish_reason=7), "choices.0.finish_reason must be a string"),  # type: ignore[arg-type]
    ],
)
def test_a_reply_that_is_wrong_is_malformed(reply: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedReply, match=said):
        read_reply(reply)


# Streams


def folded(*chunks: dict[str, Any]) -> Completion:
    reader, builder = MistralChunks(), CompletionBuilder()
    for one in chunks:
        for delta in reader.read(one):
            builder.add(delta)
    return builder.completion()


def test_a_stream_of_thoughts_texts_and_calls() -> None:
    call = {"id": "D681PevKs", "index": 0, "function": {"name": "f", "arguments": '{"a"'}}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}

    read = folded(
        chunk(role="assistant", content=""),
        chunk(content=[thinking("Let me ")]),
        chunk(content=[thinking("see.", closed=True), {"type": "text", "text": "Well"}]),
        chunk(content=", yes"),
        chunk(content=[thinking("More?")]),
        chunk(content="", tool_calls=[call]),
        chunk(content="", tool_calls=[{"id": "D681PevKs", "index": 0, "function": {"name": "f", "arguments": ": 1}"}}]),
        chunk("tool_calls", content="", usage=usage),
    )

    (answer,) = read.answers
    assert answer.message.parts == (
        ReasoningPart("Let me see.", extras={"closed": True}),
        TextPart("Well, yes"),
        ReasoningPart("More?"),
        ToolCallPart("D681PevKs", "f", '{"a": 1}'),
    )
    assert (answer.finish_reason, read.usage, read.response_id) == ("tool_calls", Usage(9, 4), "cmpl-fake")
    assert answer.message.format == "mistral"


def test_only_the_report_at_the_end_is_only_a_report() -> None:
    deltas = MistralChunks().read(chunk("stop", content="!", usage={"prompt_tokens": 9, "completion_tokens": 4}))

    assert [openai_chat.is_only_usage(delta) for delta in deltas] == [False, True]


@given(st.lists(texts | thoughts | references, max_size=6))
def test_whole_and_streamed_are_the_same(parts: list[ContentPart]) -> None:
    merged: list[ContentPart] = []
    for part in parts:
        if not merged or merged[-1].type != part.type or part.type == "foreign":
            merged.append(part)
    content = write_messages([said(*merged, TextPart("."), TextPart("."))])[0]["content"][:-2]
    chunks = [chunk(content=[each]) for each in content]

    whole = read_reply(completion(content)).answers[0].message
    streamed = folded(chunk(role="assistant", content=""), *chunks, chunk("stop", content="")).answers[0].message

    said_something = tuple(part for part in whole.parts if part != ReasoningPart(""))
    assert tuple(part for part in streamed.parts if part != ReasoningPart("")) == said_something


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"choices": {}}, "choices must be a list"),
        ({"choices": [1]}, "choices.0 must be an object"),
        ({"choices": [{"delta": []}]}, None),
        ({"choices": [{"delta": [1]}]}, "choices.0.delta must be an object"),
        ({"choices": [{"delta": {"content": 1}}]}, "choices.0.delta.content must be a string or a list"),
        ({"choices": [{"delta": {"tool_calls": [1]}}]}, "choices.0.delta.tool_calls.0 must be an object"),
        ({"id": 1}, "id must be a string"),
    ],
)
def test_an_event_that_is_wrong_is_malformed(event: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert not any(delta.says_something for delta in MistralChunks().read(event))
        return
    with pytest.raises(MalformedReply, match=said):
        MistralChunks().read(event)


NAMES = [
    "choices", "delta", "message", "content", "tool_calls", "function", "arguments", "type", "text", "thinking",
    "index", "finish_reason", "usage", "prompt_tokens", "role", "id", "model", "refusal", "signature",
]  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["text", "thinking", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(NAMES), anything, max_size=5))
def test_whatever_comes_it_is_read_or_malformed(body: dict[str, Any]) -> None:
    with suppress(MalformedReply):
        read_reply(json.loads(json.dumps(body)))
    with suppress(MalformedReply):
        folded(body, body)
