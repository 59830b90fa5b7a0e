"""Requests of Ollama's chat and embeddings."""

from typing import Any

import pytest
from hypothesis import given
from spoken import JPEG, PNG, Said, conversations, said_in

from send2llm.domain.completion import EmbeddingParameters, Parameters
from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import (
    EmbeddingPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.ollama import write_embedding_request, write_messages, write_request

HI = [Message("user", (TextPart("Hi"),))]
WEATHER = {
    "type": "function",
    "function": {"name": "get_temperature", "parameters": {"type": "object", "properties": {}}},
}
PICTURE = ImagePart(f"data:image/png;base64,{PNG}")


def written(parameters: Parameters, usual: dict[str, Any] | None = None) -> dict[str, Any]:
    return write_request("qwen3", HI, parameters, usual or {}, stream=True)


def test_a_conversation_with_a_tool_as_the_documentation_has_it() -> None:
    # https://docs.ollama.com/capabilities/tool-calling
    messages = [
        Message("developer", (TextPart("Be short."),)),
        Message("user", (TextPart("What is the temperature in New York?"),)),
        Message("assistant", (ToolCallPart("call_1", "get_temperature", '{"city": "New York"}'),)),
        Message("tool", (ToolResultPart("call_1", "22°C"),)),
    ]

    body = write_request("qwen3", messages, Parameters(tools=(WEATHER,), max_output_tokens=9), {}, stream=False)

    function = {"index": 0, "name": "get_temperature", "arguments": {"city": "New York"}}
    assert body == {
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "What is the temperature in New York?"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "function": function}]},
            {"role": "tool", "content": "22°C", "tool_call_id": "call_1", "tool_name": "get_temperature"},
        ],
        "options": {"num_predict": 9},
        "tools": [WEATHER],
        "stream": False,
    }


def test_pictures_stand_before_their_text_as_in_what_was_said() -> None:
    parts = (TextPart("one"), PICTURE, PICTURE, TextPart("two"), TextPart(""), PICTURE)

    assert write_messages([Message("user", parts)]) == [
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two", "images": [PNG, PNG]},
        {"role": "user", "content": "", "images": [PNG]},
    ]


def test_results_are_gathered_by_their_call() -> None:
    results = Message("tool", (ToolResultPart("a", "one"), TextPart("two"), PICTURE, ToolResultPart("b", "x")), "look")

    assert write_messages([results]) == [
        {"role": "tool", "content": "one\ntwo", "tool_call_id": "a", "images": [PNG], "tool_name": "look"},
        {"role": "tool", "content": "x", "tool_call_id": "b", "tool_name": "look"},
    ]


def test_thoughts_go_back_to_their_own_format_only() -> None:
    parts = (ReasoningPart("hm"), TextPart("a"))

    (ours,) = write_messages([Message("assistant", parts, extras={"x": 1}, format="ollama")])
    (others,) = write_messages([Message("assistant", parts, extras={"x": 1})])

    assert ours == {"role": "assistant", "content": "a", "thinking": "hm", "x": 1}
    assert others == {"role": "assistant", "content": "a"}


def test_what_says_nothing_is_not_sent() -> None:
    messages = [Message("user", (TextPart(""),)), Message("assistant", (RefusalPart("No."),)), Message("assistant", ())]

    assert write_messages(messages) == [{"role": "assistant", "content": "No."}]


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        ("user", ImagePart("https://example.org/a.png"), "'image_url' holds an address"),
        ("tool", ImagePart("https://example.org/a.png"), "'image_url' holds an address"),
        ("user", ForeignPart("openai", {"type": "input_audio"}), "'input_audio' of OpenAI's chat completions"),
        ("tool", ForeignPart("openai", {"type": "file"}), "'file' of OpenAI's chat completions"),
        ("assistant", EmbeddingPart("AAAA"), "'embedding'"),
        ("assistant", ToolCallPart("call_7", "f", "nonsense"), "'call_7' are no JSON object"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(role: Any, part: Any, words: str) -> None:
    with pytest.raises(RequestRejected, match=words):
        write_messages([Message(role, (part,))])


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        (
            Parameters(temperature=0, top_p=0.5, top_k=4, seed=1, stop=("x",), frequency_penalty=1, presence_penalty=2),
            {
                "options": {
                    "temperature": 0,
                    "top_p": 0.5,
                    "top_k": 4,
                    "seed": 1,
                    "stop": ["x"],
                    "frequency_penalty": 1,
                    "presence_penalty": 2,
                }
            },
        ),
        (Parameters(reasoning_effort="none"), {"think": False}),
        (Parameters(reasoning_effort="high"), {"think": "high"}),
        (Parameters(response_format={"type": "text"}), {}),
        (Parameters(response_format={"type": "json_object"}), {"format": "json"}),
        (
            Parameters(response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}),
            {"format": {"type": "object"}},
        ),
        (Parameters(tools=(WEATHER,), tool_choice="auto"), {"tools": [WEATHER]}),
        (Parameters(tools=(WEATHER,), tool_choice="none"), {}),
        (
            Parameters(
                format="ollama", extras={"options": {"num_ctx": 9, "top_k": 1}, "keep_alive": 0, "model": "x"}, top_k=2
            ),
            {"options": {"num_ctx": 9, "top_k": 2}, "keep_alive": 0},
        ),
        (Parameters(extras={"user": "me"}), {}),
    ],
)
def test_parameters(parameters: Parameters, fields: dict[str, Any]) -> None:
    usual = {"model": "qwen3", "messages": [{"role": "user", "content": "Hi"}], "options": {}, "stream": True}

    assert written(parameters) == {**usual, **fields}


def test_what_is_usual_gives_way_to_what_is_asked() -> None:
    usual = {"options": {"num_ctx": 8192, "seed": 1}, "keep_alive": "10m", "truncate": False}

    body = written(Parameters(seed=2), usual)
    theirs = written(Parameters(format="ollama", extras={"truncate": True, "options": {"num_ctx": 1}}), usual)

    assert body["options"] == {"num_ctx": 8192, "seed": 2}
    assert (body["keep_alive"], body["truncate"]) == ("10m", False)
    assert (theirs["options"], theirs["truncate"]) == ({"num_ctx": 1, "seed": 1}, True)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        (Parameters(choices=2), "'n'"),
        (Parameters(reasoning_tokens=5), "reasoning_tokens"),
        (Parameters(parallel_tool_calls=False), "parallel_tool_calls"),
        (Parameters(reasoning_effort="minimal"), "reasoning_effort"),
        (Parameters(response_format={"type": "grammar"}), "response_format"),
        (Parameters(tools=(WEATHER,), tool_choice="required"), "tool_choice"),
        (Parameters(tools=(WEATHER,), tool_choice={"type": "function"}), "tool_choice"),
        (Parameters(tools=({"type": "custom"},)), "tools"),
        (Parameters(extras={"logit_bias": {"7": 1}}), "logit_bias"),
    ],
)
def test_parameters_that_it_lacks_are_refused_by_name(parameters: Parameters, field: str) -> None:
    with pytest.raises(RequestRejected, match=field):
        written(parameters)


@given(conversations)
def test_all_that_was_said_arrives_in_order(messages: list[Message]) -> None:
    assert said_on_the_wire(write_messages(messages)) == said_in(messages)


def said_on_the_wire(messages: list[Any]) -> list[Said]:
    said: list[Said] = []
    media = {PNG: f"data:image/png;base64,{PNG}", JPEG: f"data:image/jpeg;base64,{JPEG}"}
    for message in messages:
        if message["role"] == "tool":
            said.append(("tool", "result", message["tool_call_id"], message["content"]))
            continue
        said += [(message["role"], "image", media[picture]) for picture in message.get("images", [])]
        if message["content"]:
            said.append((message["role"], "text", message["content"]))
        for call in message.get("tool_calls", []):
            function = call["function"]
            said.append((message["role"], "call", call["id"], function["name"], function["arguments"]))
    return said


def test_embeddings() -> None:
    texts = [Message("user", (TextPart(text),)) for text in ("a", "b")]
    wanted = Parameters(embedding=EmbeddingParameters(dimensions=64, purpose="search_query"))

    body = write_embedding_request("embeddinggemma", texts, wanted, {"truncate": False})

    assert body == {"model": "embeddinggemma", "input": ["a", "b"], "dimensions": 64, "truncate": False}
