"""Requests of Amazon Bedrock's Converse."""

from itertools import pairwise
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
from send2llm.infrastructure.formats.bedrock import write_embedding_requests, write_messages, write_request

HI = [Message("user", (TextPart("Hi"),))]
WEATHER = {
    "type": "function",
    "function": {"name": "top_song", "description": "The top song", "parameters": {"type": "object", "properties": {}}},
}


def written(parameters: Parameters, vendor: str = "anthropic") -> dict[str, Any]:
    return write_request(HI, parameters, vendor)


def test_a_conversation_with_a_tool_as_the_documentation_has_it() -> None:
    # https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html
    messages = [
        Message("system", (TextPart("You are an app."),)),
        Message("developer", (TextPart("Be short."),)),
        Message("user", (TextPart("What is the most popular song on WZPZ?"),)),
        Message("assistant", (ToolCallPart("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "top_song", '{"sign": "WZPZ"}'),)),
        Message("tool", (ToolResultPart("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "Elemental Hotel"),)),
        Message("user", (TextPart("And now?"),)),
    ]

    body = write_request(messages, Parameters(tools=(WEATHER,), tool_choice="auto", max_output_tokens=9, stop=("x",)))

    assert body == {
        "system": [{"text": "You are an app."}, {"text": "Be short."}],
        "messages": [
            {"role": "user", "content": [{"text": "What is the most popular song on WZPZ?"}]},
            {
                "role": "assistant",
                "content": [
                    {
                        "toolUse": {
                            "toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
                            "name": "top_song",
                            "input": {"sign": "WZPZ"},
                        }
                    }
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
                            "content": [{"text": "Elemental Hotel"}],
                        }
                    },
                    {"text": "And now?"},
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 9, "stopSequences": ["x"]},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "top_song",
                        "description": "The top song",
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                    }
                }
            ],
            "toolChoice": {"auto": {}},
        },
    }


def test_results_keep_their_pictures_and_their_failure() -> None:
    picture = ImagePart(f"data:image/jpg;base64,{PNG}")
    results = Message("tool", (ToolResultPart("a", "one"), picture, ToolResultPart("b", "no", is_error=True)))

    _, (turn,) = write_messages([results])

    image = {"image": {"format": "jpeg", "source": {"bytes": PNG}}}
    assert turn["content"] == [
        {"toolResult": {"toolUseId": "a", "content": [{"text": "one"}, image]}},
        {"toolResult": {"toolUseId": "b", "content": [{"text": "no"}], "status": "error"}},
    ]


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_blank_texts_which_bedrock_refuses_are_not_sent(blank: str) -> None:
    answered = (TextPart(blank), RefusalPart(blank), ToolCallPart("a", "f", "{}"))

    _, (call, result) = write_messages([Message("assistant", answered), Message("tool", (ToolResultPart("a", blank),))])

    assert [list(block) for block in call["content"]] == [["toolUse"]]
    assert result["content"] == [{"toolResult": {"toolUseId": "a", "content": []}}]


def test_ids_that_converse_would_refuse_are_replaced_alike() -> None:
    identifier = "call/ü" * 30
    messages = [
        Message("assistant", (ToolCallPart(identifier, "f", ""),)),
        Message("tool", (ToolResultPart(identifier, "x"),)),
    ]

    _, (call, result) = write_messages(messages)

    (use,) = call["content"]
    assert use["toolUse"]["toolUseId"] == result["content"][0]["toolResult"]["toolUseId"]
    assert len(use["toolUse"]["toolUseId"]) <= 64
    assert use["toolUse"]["input"] == {}


def test_thoughts_go_back_to_their_own_format_only() -> None:
    parts = (ReasoningPart("hm", "sig"), ReasoningPart("", "AAA=", extras={"redactedContent": True}), TextPart("a"))

    _, (ours,) = write_messages([Message("assistant", parts, format="bedrock")])
    _, (others,) = write_messages([Message("assistant", parts, format="anthropic")])

    assert ours["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "AAA="}},
        {"text": "a"},
    ]
    assert others["content"] == [{"text": "a"}]


def test_blocks_of_its_own_are_carried_and_empty_texts_are_not() -> None:
    point = ForeignPart("bedrock", {"cachePoint": {"type": "default"}})

    system, turns = write_messages(
        [
            Message("system", (TextPart("Long."), point)),
            Message("user", (TextPart(""),)),
            Message("assistant", (RefusalPart("No."),)),
        ]
    )

    assert system == [{"text": "Long."}, {"cachePoint": {"type": "default"}}]
    assert turns == [{"role": "assistant", "content": [{"text": "No."}]}]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (ImagePart("https://example.org/a.png"), "'image_url' holds an address"),
        (ImagePart("data:image/png;base64,???"), "not valid base64"),
        (ImagePart("data:image/png;base64,ü"), "not valid base64"),
        (ImagePart(f"data:image/tiff;base64,{PNG}"), "image/tiff"),
        (ForeignPart("openai", {"type": "input_audio"}), "'input_audio' of OpenAI's chat completions"),
        (EmbeddingPart("AAAA"), "'embedding'"),
        (ToolCallPart("call_7", "f", "{nonsense"), "'call_7' are no JSON object"),
        (ToolCallPart("call_7", "f", "[1]"), "'call_7' are no JSON object"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(part: Any, words: str) -> None:
    with pytest.raises(RequestRejected, match=words):
        write_messages([Message("user", (part,))])


@pytest.mark.parametrize(
    ("parameters", "vendor", "fields"),
    [
        (Parameters(temperature=0, top_p=0.5), "meta", {"inferenceConfig": {"temperature": 0, "topP": 0.5}}),
        (Parameters(top_k=4), "anthropic", {"additionalModelRequestFields": {"top_k": 4}}),
        (Parameters(top_k=4), "cohere", {"additionalModelRequestFields": {"k": 4}}),
        (Parameters(top_k=4), "amazon", {"additionalModelRequestFields": {"inferenceConfig": {"topK": 4}}}),
        (
            Parameters(reasoning_tokens=2000),
            "anthropic",
            {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}}},
        ),
        (Parameters(reasoning_effort="high"), "openai", {"outputConfig": {"effort": "high"}}),
        (Parameters(response_format={"type": "text"}), "", {}),
        (
            Parameters(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": "ü"}}}),
            "anthropic",
            {
                "outputConfig": {
                    "textFormat": {
                        "type": "json_schema",
                        "structure": {"jsonSchema": {"schema": '{"a": "ü"}', "name": "n"}},
                    }
                }
            },
        ),
        (Parameters(parallel_tool_calls=True, choices=1), "", {}),
        (Parameters(tools=(WEATHER,), tool_choice="none"), "", {}),
        (
            Parameters(
                format="bedrock",
                extras={"additionalModelRequestFields": {"x": 1}, "requestMetadata": {"a": "b"}},
                top_k=1,
            ),
            "mistral",
            {"additionalModelRequestFields": {"x": 1, "top_k": 1}, "requestMetadata": {"a": "b"}},
        ),
        (Parameters(extras={"user": "me", "max_tokens": 4}), "", {}),
    ],
)
def test_parameters(parameters: Parameters, vendor: str, fields: dict[str, Any]) -> None:
    body = written(parameters, vendor)

    assert body == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], **fields}


@pytest.mark.parametrize(
    ("parameters", "vendor", "field"),
    [
        (Parameters(seed=1), "", "seed"),
        (Parameters(choices=2), "", "'n'"),
        (Parameters(frequency_penalty=0.5), "", "frequency_penalty"),
        (Parameters(presence_penalty=0.5), "", "presence_penalty"),
        (Parameters(parallel_tool_calls=False), "", "parallel_tool_calls"),
        (Parameters(top_k=1), "meta", "top_k"),
        (Parameters(reasoning_tokens=1), "amazon", "reasoning_tokens"),
        (Parameters(reasoning_effort="minimal"), "", "reasoning_effort"),
        (Parameters(response_format={"type": "json_object"}), "", "response_format"),
        (Parameters(tools=(WEATHER,), tool_choice={"type": "allowed_tools"}), "", "tool_choice"),
        (Parameters(tools=({"type": "foreign", "format": "gemini", "body": {}},)), "", "tools"),
        (Parameters(extras={"logit_bias": {"7": 1}}), "", "logit_bias"),
    ],
)
def test_parameters_that_it_lacks_are_refused_by_name(parameters: Parameters, vendor: str, field: str) -> None:
    with pytest.raises(RequestRejected, match=field):
        written(parameters, vendor)


def test_tools_of_all_kinds() -> None:
    cached = {"type": "function", "function": {"name": "f", "strict": True}, "bedrock": {"cachePoint": {"type": "x"}}}
    system = {"type": "foreign", "format": "bedrock", "body": {"systemTool": {"name": "nova_grounding"}}}
    choice = {"type": "function", "function": {"name": "f"}}

    config = written(Parameters(tools=(cached, system), tool_choice=choice))["toolConfig"]

    schema = {"json": {"type": "object", "properties": {}}}
    assert config == {
        "tools": [
            {"toolSpec": {"name": "f", "inputSchema": schema, "strict": True}},
            {"cachePoint": {"type": "x"}},
            {"systemTool": {"name": "nova_grounding"}},
        ],
        "toolChoice": {"tool": {"name": "f"}},
    }
    assert written(Parameters(tools=(cached,), tool_choice="required"))["toolConfig"]["toolChoice"] == {"any": {}}


def test_no_tools_after_all_cannot_be_said_of_a_conversation_that_has_calls() -> None:
    called = [*HI, Message("assistant", (ToolCallPart("a", "f", "{}"),))]

    with pytest.raises(RequestRejected, match="tool_choice"):
        write_request(called, Parameters(tools=(WEATHER,), tool_choice="none"))


@given(conversations)
def test_all_that_was_said_arrives_in_order(messages: list[Message]) -> None:
    system, turns = write_messages(messages)

    assert said_on_the_wire(system, turns) == said_in(messages)
    assert all(one["role"] != other["role"] for one, other in pairwise(turns))


def said_on_the_wire(system: list[Any], turns: list[Any]) -> list[Said]:
    said: list[Said] = [("system", "text", block["text"]) for block in system]
    for turn in turns:
        for block in turn["content"]:
            ((kind, body),) = block.items()
            if kind == "text":
                said.append((turn["role"], "text", body))
            elif kind == "image":
                said.append((turn["role"], "image", f"data:image/{body['format']};base64,{body['source']['bytes']}"))
            elif kind == "toolUse":
                said.append((turn["role"], "call", body["toolUseId"], body["name"], body["input"]))
            else:
                (content,) = body["content"]
                said.append(("tool", "result", body["toolUseId"], content["text"]))
    return said


def test_embeddings_for_each_vendor() -> None:
    texts = [Message("user", (TextPart(f"t{n}"),)) for n in range(100)]
    wanted = Parameters(embedding=EmbeddingParameters(dimensions=256, purpose="search_query"))

    titan = write_embedding_requests(texts, wanted, "amazon")
    cohere = write_embedding_requests(texts, wanted, "cohere")

    assert titan[99] == {"inputText": "t99", "dimensions": 256}
    assert [len(body["texts"]) for body in cohere] == [96, 4]
    assert cohere[0]["input_type"] == "search_query"
    assert cohere[0]["output_dimension"] == 256
    with pytest.raises(RequestRejected, match="Titan"):
        write_embedding_requests(texts, wanted, "meta")
    with pytest.raises(RequestRejected, match="empty"):
        write_embedding_requests([Message("user", (TextPart(""),))], wanted, "amazon")
    with pytest.raises(RequestRejected, match="x_other"):
        write_embedding_requests(texts, Parameters(extras={"x_other": 1}), "amazon")
    with pytest.raises(RequestRejected, match="'image'"):
        write_embedding_requests([Message("user", (ImagePart("data:,"),))], wanted, "amazon")
