"""Requests of Cohere's chat and embeddings."""

import json
from typing import Any

import pytest
from hypothesis import given
from spoken import PNG, Said, conversations, said_in

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
from send2llm.infrastructure.formats.cohere import write_embedding_requests, write_messages, write_request

HI = [Message("user", (TextPart("Hi"),))]
FUNCTION = {"name": "get_weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}
WEATHER = {"type": "function", "function": FUNCTION}
OTHER = {"type": "function", "function": {"name": "other"}}


def written(parameters: Parameters, *, stream: bool = False) -> dict[str, Any]:
    return write_request("command-a", HI, parameters, stream=stream)


def test_a_conversation_with_a_tool_as_the_documentation_has_it() -> None:
    # https://docs.cohere.com/v2/docs/tool-use-overview
    arguments = '{"location":"Toronto"}'
    plan = ReasoningPart("I will search for the weather in Toronto.", extras={"field": "tool_plan"})
    messages = [
        Message("user", (TextPart("What's the weather in Toronto?"),)),
        Message(
            "assistant", (plan, ToolCallPart("get_weather_1byjy32y4hvq", "get_weather", arguments)), format="cohere"
        ),
        Message("tool", (ToolResultPart("get_weather_1byjy32y4hvq", '{"temperature": "20C"}'),)),
        Message("developer", (TextPart("Be short."),)),
    ]

    body = write_request("command-a-03-2025", messages, Parameters(tools=(WEATHER,)), stream=False)

    assert body == {
        "model": "command-a-03-2025",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "What's the weather in Toronto?"},
            {
                "role": "assistant",
                "tool_plan": "I will search for the weather in Toronto.",
                "tool_calls": [
                    {
                        "id": "get_weather_1byjy32y4hvq",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"location":"Toronto"}'},
                    }
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "get_weather_1byjy32y4hvq",
                "content": [{"type": "document", "document": {"data": {"temperature": "20C"}}}],
            },
        ],
        "tools": [WEATHER],
        "stream": False,
    }


def test_results_are_gathered_by_their_call() -> None:
    results = Message("tool", (ToolResultPart("a", "one"), TextPart("two"), ToolResultPart("b", "{}")))

    assert write_messages([results]) == [
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
        },
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "{}"}]},
    ]


def test_thoughts_and_citations_go_back_to_their_own_format_only() -> None:
    parts = (ReasoningPart("hm"), ReasoningPart("I will", extras={"field": "tool_plan"}), TextPart("a"))
    extras = {"citations": [{"start": 0, "end": 1, "text": "a"}]}

    (ours,) = write_messages([Message("assistant", parts, extras=extras, format="cohere")])
    (others,) = write_messages([Message("assistant", parts, extras=extras, format="gemini")])

    assert ours == {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}],
        "tool_plan": "I will",
        **extras,
    }
    assert others == {"role": "assistant", "content": "a"}


def test_pictures_keep_their_address_and_detail() -> None:
    pictures = (ImagePart("https://example.org/a.png", "low"), ImagePart(f"data:image/png;base64,{PNG}"))

    assert write_messages([Message("user", pictures)])[0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]


def test_what_says_nothing_is_not_sent() -> None:
    messages = [Message("user", (TextPart(""),)), Message("assistant", (RefusalPart("No."),)), Message("assistant", ())]

    assert write_messages(messages) == [{"role": "assistant", "content": "No."}]


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        ("user", ForeignPart("openai", {"type": "input_audio"}), "'input_audio' of OpenAI's chat completions"),
        ("user", EmbeddingPart("AAAA"), "'embedding'"),
        ("tool", ImagePart("data:image/png;base64,AAAA"), "'image'"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(role: Any, part: Any, words: str) -> None:
    with pytest.raises(RequestRejected, match=words):
        write_messages([Message(role, (part,))])


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        (
            Parameters(max_output_tokens=5, temperature=0, top_p=0.5, top_k=4, seed=1, stop=("x",)),
            {"max_tokens": 5, "temperature": 0, "p": 0.5, "k": 4, "seed": 1, "stop_sequences": ["x"]},
        ),
        (
            Parameters(frequency_penalty=0.5, presence_penalty=0.25),
            {"frequency_penalty": 0.5, "presence_penalty": 0.25},
        ),
        (Parameters(reasoning_effort="none"), {"thinking": {"type": "disabled"}}),
        (Parameters(reasoning_effort="high"), {"thinking": {"type": "enabled"}}),
        (Parameters(reasoning_tokens=500), {"thinking": {"type": "enabled", "token_budget": 500}}),
        (Parameters(response_format={"type": "text"}), {}),
        (Parameters(response_format={"type": "json_object"}), {"response_format": {"type": "json_object"}}),
        (
            Parameters(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}),
            {"response_format": {"type": "json_object", "json_schema": {"a": 1}}},
        ),
        (Parameters(tools=(WEATHER,), tool_choice="required"), {"tools": [WEATHER], "tool_choice": "REQUIRED"}),
        (Parameters(tools=(WEATHER,), tool_choice="none"), {"tools": [WEATHER], "tool_choice": "NONE"}),
        (
            Parameters(tools=(OTHER, WEATHER), tool_choice={"type": "function", "function": {"name": "get_weather"}}),
            {"tools": [WEATHER], "tool_choice": "REQUIRED"},
        ),
        (
            Parameters(tools=({"type": "function", "function": {"name": "f", "strict": True}},), tool_choice="auto"),
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
                    }
                ],
                "strict_tools": True,
            },
        ),
        (
            Parameters(format="cohere", extras={"documents": ["a"], "safety_mode": "STRICT", "model": "other"}),
            {"documents": ["a"], "safety_mode": "STRICT"},
        ),
        (Parameters(extras={"user": "me"}), {}),
    ],
)
def test_parameters(parameters: Parameters, fields: dict[str, Any]) -> None:
    usual = {"model": "command-a", "messages": [{"role": "user", "content": "Hi"}], "stream": False}

    assert written(parameters) == {**usual, **fields}


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        (Parameters(choices=2), "'n'"),
        (Parameters(parallel_tool_calls=False), "parallel_tool_calls"),
        (Parameters(reasoning_effort="low"), "reasoning_effort"),
        (Parameters(response_format={"type": "grammar"}), "response_format"),
        (Parameters(tools=(WEATHER,), tool_choice={"type": "allowed_tools"}), "tool_choice"),
        (Parameters(tools=(WEATHER,), tool_choice={"type": "function", "function": {"name": "x"}}), "tool_choice"),
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
    for message in messages:
        content = message.get("content", [])
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if message["role"] == "tool":
                said.append(("tool", "result", message["tool_call_id"], block["text"]))
            elif block["type"] == "text":
                said.append((message["role"], "text", block["text"]))
            else:
                said.append((message["role"], "image", block["image_url"]["url"]))
        for call in message.get("tool_calls", []):
            function = call["function"]
            said.append((message["role"], "call", call["id"], function["name"], json.loads(function["arguments"])))
    return said


def test_embeddings() -> None:
    texts = [Message("user", tuple([TextPart(f"t{n}") for n in range(100)]))]
    wanted = Parameters(embedding=EmbeddingParameters(dimensions=256, purpose="clustering"))

    first, second = write_embedding_requests("embed-v4.0", texts, wanted)
    (plain,) = write_embedding_requests("embed-v4.0", HI, Parameters(embedding=EmbeddingParameters()))

    assert len(first["texts"]) == 96
    assert second == {
        "model": "embed-v4.0",
        "texts": ["t96", "t97", "t98", "t99"],
        "input_type": "clustering",
        "embedding_types": ["float"],
        "output_dimension": 256,
        "truncate": "NONE",
    }
    assert plain["input_type"] == "search_document"
    with pytest.raises(RequestRejected, match="x_other"):
        write_embedding_requests("embed-v4.0", texts, Parameters(extras={"x_other": 1}))
