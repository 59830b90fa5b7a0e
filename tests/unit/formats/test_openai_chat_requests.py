"""Requests of OpenAI's chat completions, from JSON into the domain and back."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest, RequestRejected
from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.foreign import FORMATS
from send2llm.infrastructure.formats.openai_chat import (
    OutputLimitField,
    read_message,
    read_request,
    write_messages,
    write_request,
)

HELLO = {"role": "user", "content": "hello"}


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [HELLO], **fields}


def again(body: dict[str, Any]) -> dict[str, Any]:
    read = read_request(body)
    return write_request(read.model, read.messages, read.parameters, stream=read.stream)


# What comes in goes out

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.booleans() | st.integers(-(2**50), 2**50) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
unknown = st.dictionaries(st.sampled_from(["x_one", "x_two", "cache_control"]), values, max_size=2)


def with_unknown(known: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda fields, more: {**more, **fields}, known, unknown)


text_parts = with_unknown(st.fixed_dictionaries({"type": st.just("text"), "text": words}))
images = with_unknown(
    st.fixed_dictionaries({"url": words}, optional={"detail": st.sampled_from(["low", "high", "auto"])})
)
image_parts = with_unknown(st.fixed_dictionaries({"type": st.just("image_url"), "image_url": images}))
audio_parts = with_unknown(
    st.fixed_dictionaries({"type": st.just("input_audio"), "input_audio": st.just({"data": "AA"})})
)
refusal_parts = with_unknown(st.fixed_dictionaries({"type": st.just("refusal"), "refusal": words}))


def contents(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Content in its shortest spelling: a single plain text is a string."""
    several = st.lists(st.one_of(*parts), min_size=1, max_size=3)
    return words | several.map(lambda c: c[0]["text"] if len(c) == 1 and c[0].keys() == {"type", "text"} else c)


function_calls = with_unknown(
    st.fixed_dictionaries(
        {
            "id": words,
            "type": st.just("function"),
            "function": with_unknown(st.fixed_dictionaries({"name": words, "arguments": words})),
        }
    )
)
custom_calls = with_unknown(
    st.fixed_dictionaries(
        {
            "id": words,
            "type": st.just("custom"),
            "custom": with_unknown(st.fixed_dictionaries({"name": words, "input": words})),
        }
    )
)
name = {"name": words}
messages = st.one_of(
    with_unknown(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["user", "system", "developer"]),
                "content": contents(text_parts, image_parts, audio_parts),
            },
            optional=name,
        )
    ),
    with_unknown(
        st.fixed_dictionaries(
            {"role": st.just("assistant"), "content": st.none() | contents(text_parts, refusal_parts)},
            optional={
                **name,
                "refusal": words,
                "tool_calls": st.lists(function_calls | custom_calls, min_size=1, max_size=3),
                "function_call": st.just({"name": "f", "arguments": "{}"}),
                "audio": st.just({"id": "audio_1"}),
            },
        )
    ),
    with_unknown(
        st.fixed_dictionaries(
            {
                "role": st.just("tool"),
                "tool_call_id": words.filter(bool),
                "content": contents(text_parts, image_parts),
            },
            optional=name,
        )
    ),
    with_unknown(
        st.fixed_dictionaries({"role": st.just("function"), "name": words, "content": words}),
    ),
)
objects = st.dictionaries(words, values, max_size=3)
tools = st.dictionaries(words.filter(lambda word: word not in {*FORMATS, "type"}), values, max_size=3)
bodies = with_unknown(
    st.fixed_dictionaries(
        {"model": words.filter(bool), "messages": st.lists(messages, min_size=1, max_size=4)},
        optional={
            "max_tokens": st.integers(1, 9000),
            "max_completion_tokens": st.integers(1, 9000),
            "temperature": st.integers(0, 2) | st.floats(0, 2),
            "top_p": st.floats(0, 1),
            "stop": words | st.lists(words, min_size=1, max_size=4),
            "seed": st.integers(0, 2**40),
            "n": st.integers(1, 5),
            "tools": st.lists(tools, min_size=1, max_size=2),
            "tool_choice": words | objects,
            "response_format": objects,
            "reasoning_effort": st.sampled_from(["low", "high"]),
        },
    )
)


@given(bodies, st.booleans())
def test_a_request_that_is_read_and_written_is_the_same_request(body: dict[str, Any], stream: bool) -> None:
    expected = dict(body)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_obfuscation": False}
        expected |= {"stream": True, "stream_options": {"include_obfuscation": False, "include_usage": True}}

    assert again(body) == expected


@given(bodies)
def test_reading_never_changes_the_body(body: dict[str, Any]) -> None:
    before = repr(body)

    again(body)

    assert repr(body) == before


@given(st.recursive(st.none() | values | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(words, inner)))
def test_anything_that_is_no_request_is_refused_and_nothing_worse(body: object) -> None:
    with pytest.raises(InvalidRequest):
        read_request(body)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "role",
                "content",
                "name",
                "refusal",
                "tool_calls",
                "tool_call_id",
                "type",
                "text",
                "image_url",
                "id",
            ]
        ),
        st.sampled_from(["user", "assistant", "tool", "text", "image_url"]) | values | st.none(),
    )
)
def test_any_message_is_read_or_refused_with_its_place(message: dict[str, Any]) -> None:
    try:
        read_request({"model": "m", "messages": [HELLO, message]})
    except InvalidRequest as error:
        assert (error.param or "").startswith("messages.1")  # noqa: PT017 - most are refused, not all


# What it means


def test_a_request_in_words_of_the_domain() -> None:
    read = read_request(
        request(
            messages=[
                {"role": "system", "content": "Be short."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://example.org/cat.png", "detail": "low"},
                        },
                        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "look", "arguments": '{"at": 1}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "A cat."},
            ],
            max_completion_tokens=50,
            temperature=0.5,
            stop="\n",
            stream=True,
            stream_options={"include_usage": True},
            metadata={"a": "b"},
        )
    )

    assert (read.model, read.stream, read.include_usage) == ("m", True, True)
    assert read.messages == [
        Message("system", (TextPart("Be short."),)),
        Message(
            "user",
            (
                TextPart("What is this?"),
                ImagePart("https://example.org/cat.png", "low"),
                ForeignPart("openai", {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
            ),
        ),
        Message("assistant", (ToolCallPart("call_1", "look", '{"at": 1}'),)),
        Message("tool", (ToolResultPart("call_1", "A cat."),)),
    ]
    assert read.parameters.max_output_tokens == 50
    assert read.parameters.stop == ("\n",)
    assert read.parameters.extras["metadata"] == {"a": "b"}


def test_a_single_text_part_is_the_string_that_it_means() -> None:
    as_part = read_message({"role": "user", "content": [{"type": "text", "text": "hello"}]})

    assert as_part == read_message(HELLO)
    assert write_messages([as_part]) == [HELLO]


def test_nulls_are_as_good_as_absent() -> None:
    optional = "max_tokens max_completion_tokens temperature top_p stop seed n tools tool_choice response_format"
    nulls = dict.fromkeys([*optional.split(), "stream", "stream_options", "user", "functions"])
    message = {**HELLO, "name": None, "refusal": None, "tool_calls": None}

    read = read_request({**request(), **nulls, "messages": [message]})

    assert read == read_request(request())


def test_an_answer_is_read_as_the_sdk_sends_it_back() -> None:
    sent_back = {
        "role": "assistant",
        "content": "Paris.",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
    }

    assert read_message(sent_back) == Message("assistant", (TextPart("Paris."),), extras={"annotations": []})


def test_a_refusal_keeps_its_place() -> None:
    field = read_message({"role": "assistant", "content": None, "refusal": "No."})
    part = read_message({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]})

    assert field.parts == (RefusalPart("No."),)
    assert isinstance(part.parts[0], RefusalPart)
    assert write_messages([field, part]) == [
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]


def test_an_image_may_be_a_bare_url() -> None:
    image = read_message({"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,AA"}]})

    assert image.parts == (ImagePart("data:image/png;base64,AA"),)


@pytest.mark.parametrize(
    ("sent", "limit"),
    [
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100}, 100),
        ({"max_completion_tokens": 100, "max_tokens": 20}, 100),
        ({"max_completion_tokens": 0, "max_tokens": 20}, 20),
    ],
)
@pytest.mark.parametrize("only", ["max_tokens", "max_completion_tokens"])
def test_a_server_gets_the_one_field_for_the_limit_that_it_heeds(
    sent: dict[str, int], limit: int, only: OutputLimitField
) -> None:
    read = read_request(request(**sent))

    def written(parameters: Parameters) -> dict[str, Any]:
        body = write_request("m", read.messages, parameters, output_limit=only, only_output_limit=True)
        return {name: value for name, value in body.items() if name.startswith("max_")}

    assert written(read.parameters) == {only: limit}
    assert written(replace(read.parameters, max_output_tokens=7)) == {only: 7}


def test_the_output_limit_is_clamped_under_the_name_that_the_caller_used() -> None:
    read = read_request(request(max_completion_tokens=100, max_tokens=20))
    clamped = Parameters(max_output_tokens=50, extras=read.parameters.extras)

    body = write_request("m", read.messages, clamped)

    assert read.parameters.max_output_tokens == 100
    assert (body["max_completion_tokens"], body["max_tokens"]) == (50, 20)


def test_no_limit_in_numbers_is_replaced_by_a_limit() -> None:
    read = read_request(request(max_tokens=-1))
    clamped = Parameters(max_output_tokens=50, extras=read.parameters.extras)

    assert read.parameters.max_output_tokens is None
    assert write_request("m", read.messages, read.parameters)["max_tokens"] == -1
    assert write_request("m", read.messages, clamped)["max_tokens"] == 50


def test_a_limit_without_a_spelling_of_its_own_takes_the_providers() -> None:
    parameters = Parameters(max_output_tokens=7)

    assert write_request("m", [], parameters)["max_tokens"] == 7
    assert write_request("m", [], parameters, output_limit="max_completion_tokens")["max_completion_tokens"] == 7


def test_a_stream_asks_for_usage_unless_the_server_refuses_to_be_asked() -> None:
    assert write_request("m", [], Parameters(), stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in write_request("m", [], Parameters(), stream=True, stream_usage=False)
    assert "stream_options" not in write_request("m", [], Parameters(extras={"stream_options": {"x": 1}}))


# Other formats


def test_extras_stay_within_their_format() -> None:
    parameters = Parameters(temperature=1, format="gemini")
    message = Message("user", (TextPart("hi", extras={"cache_control": {}}),), extras={"x": 1}, format="anthropic")

    assert write_request("m", [message], parameters) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 1,
    }


def test_fields_of_another_format_that_matter_are_refused_by_name() -> None:
    parameters = Parameters(format="anthropic", extras={"container": "c"})

    with pytest.raises(RequestRejected, match="'container' of Anthropic's messages cannot be said in OpenAI's chat"):
        write_request("m", [Message("user", (TextPart("hi"),))], parameters)


def test_parts_of_another_format_are_refused_not_dropped() -> None:
    message = Message("user", (ForeignPart("anthropic", {"type": "document"}),))

    with pytest.raises(RequestRejected, match="'document' of Anthropic's messages"):
        write_messages([message])


def test_results_of_several_tools_in_one_message_become_one_message_each() -> None:
    message = Message("user", (ToolResultPart("a", "1"), ToolResultPart("b", "2"), TextPart("Go on.")))

    assert write_messages([message]) == [
        {"role": "tool", "content": "1", "tool_call_id": "a"},
        {"role": "tool", "content": "2", "tool_call_id": "b"},
        {"role": "user", "content": "Go on."},
    ]


# Refusals


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ([], None, "must be an object, not a list"),
        ({"messages": [HELLO]}, "model", "is missing: it must be a string"),
        ({"model": "", "messages": [HELLO]}, "model", "must name a model"),
        ({"model": 5, "messages": [HELLO]}, "model", "must be a string, not a number"),
        ({"model": "m"}, "messages", "is missing"),
        (request(messages=[]), "messages", "must not be empty"),
        (request(messages="hi"), "messages", "must be a list of messages, not a string"),
        (request(messages=["hi"]), "messages.0", "must be an object, not a string"),
        (request(messages=[HELLO, {"content": "x"}]), "messages.1.role", "is missing"),
        (request(messages=[{"role": "robot", "content": "x"}]), "messages.0.role", "not 'robot'"),
        (request(messages=[{"role": ["user"], "content": "x"}]), "messages.0.role", "must be a string"),
        (request(messages=[{"role": "user"}]), "messages.0.content", "is missing"),
        (request(messages=[{"role": "user", "content": 3}]), "messages.0.content", "not a number"),
        (
            request(messages=[{"role": "user", "content": []}]),
            "messages.0.content",
            "must not be an empty list",
        ),
        (request(messages=[{"role": "user", "content": ["x"]}]), "messages.0.content.0", "must be an object"),
        (
            request(messages=[{"role": "user", "content": [{"type": "tokens", "tokens": [1]}]}]),
            "messages.0.content.0.type",
            "must not be tokens",
        ),
        (
            request(messages=[{"role": "user", "content": [{"type": "text"}]}]),
            "messages.0.content.0.text",
            "is missing",
        ),
        (
            request(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 1}}]}]),
            "messages.0.content.0.image_url.url",
            "must be a string",
        ),
        (request(messages=[{"role": "tool", "content": "x"}]), "messages.0.tool_call_id", "is missing"),
        (
            request(messages=[{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": 1}}]}]),
            "messages.0.tool_calls.0.function.name",
            "must be a string",
        ),
        (
            request(
                messages=[
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}],
                    }
                ]
            ),
            "messages.0.tool_calls.0.function.arguments",
            "must be a string, not an object",
        ),
        (request(temperature="hot"), "temperature", "must be a number"),
        (request(temperature=True), "temperature", "must be a number, not a boolean"),
        (request(max_tokens=1.5), "max_tokens", "must be an integer"),
        (request(n=0), "n", "must be at least 1"),
        (request(stop=["a", 1]), "stop.1", "must be a string"),
        (request(stop={}), "stop", "a string or a list of strings"),
        (request(tools=["x"]), "tools.0", "must be an object"),
        (request(tool_choice=1), "tool_choice", "a string or an object"),
        (request(stream="yes"), "stream", "must be a boolean, not a string"),
        (request(stream_options=[]), "stream_options", "must be an object, not a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(body: object, param: str | None, words: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^[^\n]*$") as caught:
        read_request(body)

    assert caught.value.param == param
    assert words in str(caught.value)
