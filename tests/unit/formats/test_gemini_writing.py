"""What is said in other words is written for Gemini, or refused by name."""

from typing import Any

import pytest

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
from send2llm.infrastructure.formats.gemini import Target, read_request, write_contents, write_instances, write_request

NEW = Target("gemini-3-pro-preview")
OLD = Target("gemini-2.5-flash")
HELLO = {"role": "user", "parts": [{"text": "hello"}]}
USER = Message("user", (TextPart("hello"),))


def written(*messages: Message, target: Target = NEW, **parameters: Any) -> dict[str, Any]:
    return write_request(messages, Parameters(**parameters), target)


def contents(*messages: Message, target: Target = NEW) -> Any:
    return written(*messages, target=target)["contents"]


def config(target: Target = NEW, **parameters: Any) -> Any:
    return written(USER, target=target, **parameters).get("generationConfig")


def again(body: dict[str, Any], target: Target = OLD) -> dict[str, Any]:
    return write_request(*read_request(body), target)


# Messages


def test_neighbours_of_one_role_become_one_content() -> None:
    other = Message("user", (TextPart("there"),))

    assert contents(USER, other) == [{"role": "user", "parts": [{"text": "hello"}, {"text": "there"}]}]


def test_results_stand_alone_in_their_content() -> None:
    calls = (ToolCallPart("a", "f", '{"x": 1}'), ToolCallPart("b", "g", ""))
    body = contents(
        USER,
        Message("assistant", calls),
        Message("tool", (ToolResultPart("a", "1"),)),
        Message("tool", (ToolResultPart("b", "no", is_error=True),)),
        Message("user", (TextPart("and?"),)),
        target=OLD,
    )

    assert body[1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}},
                {"functionCall": {"id": "b", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "f", "response": {"output": "1"}}},
                {"functionResponse": {"id": "b", "name": "g", "response": {"error": "no"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "and?"}]},
    ]


def test_results_beside_what_a_user_says_are_taken_apart() -> None:
    call = Message("assistant", (ToolCallPart("a", "f", "{}"),))
    mixed = Message("user", (ToolResultPart("a", "1"), ToolResultPart("a", "2"), TextPart("so?")))

    assert contents(USER, call, mixed, target=OLD)[2:] == [
        {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f", "response": {"output": "12"}}}]},
        {"role": "user", "parts": [{"text": "so?"}]},
    ]


def test_system_messages_become_the_instruction_wherever_they_stand() -> None:
    body = written(Message("system", (TextPart("a"),)), USER, Message("developer", (TextPart("b"),)), USER)

    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "hello"}, {"text": "hello"}]}]


def test_what_says_nothing_is_left_out() -> None:
    silent = Message("assistant", ())
    called = Message("assistant", (TextPart(""), ToolCallPart("a", "f", "{}")))

    assert contents(USER, silent, USER) == [{"role": "user", "parts": [{"text": "hello"}, {"text": "hello"}]}]
    assert contents(USER, called, target=OLD)[1]["parts"] == [{"functionCall": {"id": "a", "name": "f", "args": {}}}]


def test_pictures_of_a_result_lie_in_it() -> None:
    call = Message("assistant", (ToolCallPart("a", "f", "{}"),))
    seen = Message("tool", (ToolResultPart("a", "see"), ImagePart("data:image/png;base64,AA==")))

    assert contents(USER, call, seen)[2]["parts"] == [
        {
            "functionResponse": {
                "id": "a",
                "name": "f",
                "response": {"output": "see"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
            }
        }
    ]
    messages, _ = read_request({"contents": contents(USER, call, seen)})
    assert messages[2].parts == seen.parts
    with pytest.raises(RequestRejected, match="Gemini 3 or newer"):
        contents(USER, call, seen, target=OLD)


def test_results_without_ids_belong_to_the_calls_in_their_order() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    result = {"functionResponse": {"name": "f", "response": {"output": "1"}}}
    body = {"contents": [HELLO, {"role": "model", "parts": [call, call]}, {"role": "user", "parts": [result, result]}]}

    messages, _ = read_request(body)

    ids = [call.id for call in messages[1].tool_calls]
    assert len(set(ids)) == 2
    assert [part.tool_call_id for message in messages[2:] for part in message.parts] == ids  # type: ignore[union-attr]


# Thoughts and their signatures


def test_calls_that_gemini_did_not_make_are_marked_for_gemini_3() -> None:
    calls = Message("assistant", (ToolCallPart("a", "f", "{}"), ToolCallPart("b", "f", "{}")))

    first, second = contents(USER, calls)[1]["parts"]
    assert first["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in second
    assert "thoughtSignature" not in contents(USER, calls, target=OLD)[1]["parts"][0]
    assert "thoughtSignature" in contents(USER, calls, target=Target("gemini-flash-latest"))[1]["parts"][0]


def test_signatures_go_back_to_gemini_only() -> None:
    extras = {"thoughtSignature": "U2ln"}
    parts = (
        ReasoningPart("hm", "VGhvdWdodA=="),
        TextPart("so", extras=extras),
        ToolCallPart("a", "f", "{}", extras=extras),
    )

    ours = contents(USER, Message("assistant", parts, format="gemini"))[1]["parts"]
    others = contents(USER, Message("assistant", parts, format="anthropic"), target=OLD)[1]["parts"]

    assert ours == [
        {"text": "hm", "thought": True, "thoughtSignature": "VGhvdWdodA=="},
        {"text": "so", **extras},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, **extras},
    ]
    assert others == [{"text": "so"}, {"functionCall": {"id": "a", "name": "f", "args": {}}}]


@pytest.mark.parametrize(
    ("parameters", "target", "thinking"),
    [
        ({"reasoning_effort": "low"}, NEW, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ({"reasoning_effort": "xhigh"}, NEW, {"thinkingLevel": "XHIGH", "includeThoughts": True}),
        ({"reasoning_effort": "medium"}, OLD, {"thinkingBudget": 8192, "includeThoughts": True}),
        ({"reasoning_effort": "none"}, OLD, {"thinkingBudget": 0}),
        ({"reasoning_tokens": 512}, NEW, {"thinkingBudget": 512, "includeThoughts": True}),
        ({"reasoning_tokens": 0}, OLD, {"thinkingBudget": 0}),
    ],
)
def test_how_much_to_think(parameters: dict[str, Any], target: Target, thinking: Any) -> None:
    assert config(target, **parameters) == {"thinkingConfig": thinking}


# Pictures


@pytest.mark.parametrize(
    ("image", "part"),
    [
        (ImagePart("data:image/png;base64,AA=="), {"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
        (ImagePart("data:image/svg+xml,%3Csvg/%3E"), {"inlineData": {"mimeType": "image/svg+xml", "data": "PHN2Zy8+"}}),
        (
            ImagePart("data:image/png;charset=x;base64,AA==", "low"),
            {
                "inlineData": {"mimeType": "image/png", "data": "AA=="},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            },
        ),
        (
            ImagePart("https://example.org/cat.jpg?size=1", "auto"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.org/cat.jpg?size=1"}},
        ),
        (ImagePart("https://example.org/cat"), {"fileData": {"fileUri": "https://example.org/cat"}}),
    ],
)
def test_pictures(image: ImagePart, part: dict[str, Any]) -> None:
    assert contents(Message("user", (image,))) == [{"role": "user", "parts": [part]}]


@pytest.mark.parametrize(
    ("image", "target", "why"),
    [
        (ImagePart("https://example.org/a.png"), Target("gemini-2.0-flash"), "does not read pictures at URLs"),
        (ImagePart("https://example.org/a"), Target("gemini-3-pro", needs_file_type=True), "type of a picture"),
        (ImagePart("data:,hello"), NEW, "must begin as data:image/png"),
        (ImagePart("data:image/png;base64"), NEW, "must begin as data:image/png"),
        (ImagePart("data:image/png;base64,AA==", "high"), OLD, "image_url.detail"),
        (ImagePart("data:image/png;base64,AA==", "original"), NEW, "original"),
    ],
)
def test_pictures_that_gemini_would_not_see_are_refused(image: ImagePart, target: Target, why: str) -> None:
    with pytest.raises(RequestRejected, match=why):
        contents(Message("user", (image,)), target=target)


# Tools and formats

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
STRICT = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}


@pytest.mark.parametrize(
    ("choice", "tool", "calling"),
    [
        ("auto", TOOL, {"mode": "AUTO"}),
        ("none", TOOL, {"mode": "NONE"}),
        ("required", STRICT, {"mode": "ANY"}),
        (None, STRICT, {"mode": "VALIDATED"}),
        ("auto", STRICT, {"mode": "VALIDATED"}),
        ({"type": "function", "function": {"name": "f"}}, TOOL, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
            TOOL,
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
            TOOL,
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_which_tools_may_be_called(choice: Any, tool: Any, calling: Any) -> None:
    body = written(USER, tools=(tool,), tool_choice=choice)

    assert body["tools"] == [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}]
    assert body["toolConfig"] == {"functionCallingConfig": calling}


def test_a_schema_in_openapis_words_is_read_for_others_and_kept_for_gemini() -> None:
    schema = {"type": "OBJECT", "properties": {"n": {"type": "STRING", "nullable": True}}}
    body = {"contents": [HELLO], "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}

    _, parameters = read_request(body)

    (tool,) = parameters.tools
    assert tool["function"]["parameters"] == {"type": "object", "properties": {"n": {"type": ["string", "null"]}}}
    assert write_request([USER], parameters, NEW)["tools"] == body["tools"]


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"type": "text"}, {"responseMimeType": "text/plain"}),
        ({"type": "json_object"}, {"responseMimeType": "application/json"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "description": "d"}},
        ),
    ],
)
def test_structured_output(wanted: Any, fields: Any) -> None:
    assert config(response_format=wanted) == fields


# What Gemini has no word for


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"reasoning_effort": "none"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "reasoning_tokens": 5}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": 5}}, "response_format.json_schema"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tools": ({"type": "web_search"},)}, "tools"),
        ({"tools": ({"type": "function", "function": 5},)}, r"tools\.0\.function"),
        ({"tools": ({"type": "foreign", "format": "anthropic", "body": {"type": "bash"}},)}, "tools"),
        ({"extras": {"logit_bias": {"1": 2}}}, "logit_bias"),
        ({"extras": {"mystery": 1}, "format": "anthropic"}, "mystery"),
    ],
)
def test_parameters_that_gemini_lacks_are_refused_by_name(parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestRejected, match=field):
        written(USER, **parameters)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (Message("user", (TextPart("x"),), name="ada"), "messages.name"),
        (Message("user", (ForeignPart("openai", {"type": "input_audio"}),)), "input_audio"),
        (Message("user", (EmbeddingPart("AA=="),)), "embedding"),
        (Message("system", (ImagePart("data:image/png;base64,AA=="),)), "role .system."),
        (Message("assistant", (ToolCallPart("a", "f", "[1]"),)), "no JSON object"),
        (Message("assistant", (ToolCallPart("a", "f", '{"x":'),)), "no JSON object"),
        (Message("assistant", (ToolCallPart("a", "f", '{"x":' * 300 + "1" + "}" * 300),)), "no JSON object"),
        (Message("tool", (ToolResultPart("a", "x"),)), "no call 'a'"),
        (Message("tool", (ImagePart("data:image/png;base64,AA=="),)), "at least a ToolResultPart"),
    ],
)
def test_messages_that_gemini_cannot_hold_are_refused(message: Message, why: str) -> None:
    with pytest.raises(RequestRejected, match=why):
        written(message)


def test_what_does_no_harm_is_let_go() -> None:
    assert written(USER, extras={"user": "u", "n": 1}, parallel_tool_calls=True) == {"contents": [HELLO]}
    assert contents(Message("assistant", (RefusalPart("No."),))) == [{"role": "model", "parts": [{"text": "No."}]}]


def test_the_limits_of_parameters_are_written() -> None:
    assert config(max_output_tokens=5, temperature=0, stop=("a", "b"), choices=3) == {
        "maxOutputTokens": 5,
        "temperature": 0,
        "stopSequences": ["a", "b"],
        "candidateCount": 3,
    }


# Embeddings of Vertex AI; those of the Gemini API are shown on the wire


def test_texts_for_predict() -> None:
    parameters = Parameters(embedding=EmbeddingParameters(64, "search_query"))

    assert write_instances([USER] * 251, parameters) == [
        {
            "instances": [{"content": "hello", "task_type": "RETRIEVAL_QUERY"}] * count,
            "parameters": {"autoTruncate": False, "outputDimensionality": 64},
        }
        for count in (250, 1)
    ]


def test_each_part_is_one_input_of_embed_content() -> None:
    parts = (TextPart("a"), ImagePart("data:image/png;base64,AA=="))
    parameters = Parameters(embedding=EmbeddingParameters(purpose="clustering"))

    (alone,) = write_contents([Message("user", parts[:1])], parameters, NEW)
    both = write_contents([Message("user", parts)], parameters, NEW)

    config = {"autoTruncate": False, "taskType": "CLUSTERING"}
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    assert alone == {"content": {"role": "user", "parts": [{"text": "a"}]}, "embedContentConfig": config}
    assert both == [
        {"requests": [alone, {"content": {"role": "user", "parts": [picture]}, "embedContentConfig": config}]}
    ]


def test_a_purpose_without_a_word_is_refused() -> None:
    with pytest.raises(RequestRejected, match="input_type"):
        write_instances([USER], Parameters(embedding=EmbeddingParameters(purpose="image")))
    with pytest.raises(RequestRejected, match="image"):
        write_instances([Message("user", (ImagePart("data:image/png;base64,AA=="),))], Parameters())
