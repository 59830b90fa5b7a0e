"""Requests of Gemini: what documented ones mean, and that they come out as they came in."""

import json
from typing import Any

import pytest

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import CannotBound, InvalidRequest
from send2llm.domain.message import (
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.domain.upper_bound.input_tokens import most_input_tokens
from send2llm.infrastructure.formats.gemini import Target, read_request, write_request

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


# What the documentation shows

WEATHER = {
    "name": "get_weather",
    "description": "Gets the weather of a city.",
    "parametersJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
DOCUMENTED = {
    "systemInstruction": {"parts": [{"text": "You are a cat. Your name is Neko."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Weather in Paris and London?"},
                {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "The user wants to know two things.", "thought": True},
                {
                    "functionCall": {"id": "a", "name": "get_weather", "args": {"city": "Paris"}},
                    "thoughtSignature": "U2ln",
                },
                {"functionCall": {"id": "b", "name": "get_weather", "args": {"city": "London"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "get_weather", "response": {"output": "15 °C"}}},
                {"functionResponse": {"id": "b", "name": "get_weather", "response": {"temperature": 12, "unit": "C"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "Quickly!"}]},
    ],
    "tools": [{"functionDeclarations": [WEATHER]}, {"googleSearch": {}}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "generationConfig": {
        "temperature": 1.0,
        "topP": 0.8,
        "topK": 10,
        "seed": 5,
        "maxOutputTokens": 800,
        "stopSequences": ["Title"],
        "candidateCount": 2,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
}  # fmt: skip


def test_a_documented_request_means_this() -> None:
    messages, parameters = read_request(DOCUMENTED)

    system, user, model, paris, london, quickly = messages
    assert system == Message("system", (TextPart("You are a cat. Your name is Neko."),), format="gemini")
    assert user.parts == (TextPart("Weather in Paris and London?"), ImagePart("data:image/png;base64,iVBO"))
    assert model.role == "assistant"
    assert model.parts == (
        ReasoningPart("The user wants to know two things."),
        ToolCallPart("a", "get_weather", '{"city":"Paris"}', extras={"thoughtSignature": "U2ln"}),
        ToolCallPart("b", "get_weather", '{"city":"London"}'),
    )
    assert paris == Message("tool", (ToolResultPart("a", "15 °C"),), format="gemini")
    result = {"response": {"temperature": 12, "unit": "C"}}
    assert london.parts == (ToolResultPart("b", '{"temperature":12,"unit":"C"}', extras=result),)
    assert quickly.text == "Quickly!"
    assert parameters == Parameters(
        max_output_tokens=800,
        temperature=1.0,
        top_p=0.8,
        top_k=10,
        stop=("Title",),
        seed=5,
        choices=2,
        frequency_penalty=-0.5,
        presence_penalty=0.5,
        reasoning_tokens=1024,
        tools=(
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": "Gets the weather of a city.",
                    "parameters": WEATHER["parametersJsonSchema"],
                },
            },
            {"type": "foreign", "format": "gemini", "body": {"googleSearch": {}}},
        ),
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "response", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        },
        format="gemini",
        extras={
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
            "generationConfig.mediaResolution": "MEDIA_RESOLUTION_LOW",
        },
    )


def test_a_documented_request_comes_out_the_same() -> None:
    assert again(DOCUMENTED) == DOCUMENTED


@pytest.mark.parametrize(
    "changed",
    [
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}}},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
        {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
        {"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}},
        {"generationConfig": {"responseMimeType": "application/json"}},
        {"generationConfig": {"responseMimeType": "text/plain"}},
        {"generationConfig": {"responseJsonSchema": {"type": "object"}}},
        {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}, "retrievalConfig": {"languageCode": "de"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},
        {"cachedContent": "cachedContents/1", "labels": {"team": "a"}},
        {"systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}]}},
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "nullable": True}}]}]},
    ],
)
def test_what_only_gemini_has_is_kept(changed: dict[str, Any]) -> None:
    body = {"contents": [HELLO], **changed}

    target = NEW if "thinkingLevel" in json.dumps(changed) else OLD
    assert again(body, target) == body


# What is no request


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "contents"),
        ({"contents": [{"role": "bot", "parts": []}]}, "contents.0.role"),
        ({"contents": [HELLO, {"parts": [{"functionCall": {"name": 5}}]}]}, "contents.1.parts.0.functionCall.name"),
        ({"contents": [{"parts": [{"functionResponse": {}}]}]}, "contents.0.parts.0.functionResponse.name"),
        ({"contents": [HELLO], "systemInstruction": []}, "systemInstruction"),
        ({"contents": [HELLO], "generationConfig": {"topK": "x"}}, "generationConfig.topK"),
        ({"contents": [HELLO], "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences.0"),
        ({"contents": [HELLO], "generationConfig": {"thinkingConfig": {"thinkingBudget": "x"}}},
         "generationConfig.thinkingConfig.thinkingBudget"),
        ({"contents": [HELLO], "tools": [{"functionDeclarations": [{}]}]}, "tools.0.name"),
    ],
)  # fmt: skip
def test_errors_name_the_field(body: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)

    assert caught.value.param == path


# Under a budget


@pytest.mark.parametrize(
    "fields",
    [
        {"safetySettings": [], "labels": {"a": "b"}},
        {"generationConfig": {"responseModalities": ["TEXT"], "responseLogprobs": True, "logprobs": 2}},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
        {"generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}},
        {"serviceTier": "flex"},
    ],
)
def test_fields_that_cost_nothing_fit_a_budget(fields: dict[str, Any]) -> None:
    messages, parameters = read_request({"contents": [HELLO], **fields})

    assert most_input_tokens(messages, parameters) > 0


@pytest.mark.parametrize(
    "fields",
    [
        {"cachedContent": "cachedContents/1"},
        {"serviceTier": "priority"},
        {"generationConfig": {"responseModalities": ["IMAGE"]}},
        {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_HIGH"}},
        {"tools": [{"googleSearch": {}}]},
    ],
)
def test_fields_that_may_cost_more_fit_no_budget(fields: dict[str, Any]) -> None:
    messages, parameters = read_request({"contents": [HELLO], **fields})

    with pytest.raises(CannotBound):
        most_input_tokens(messages, parameters)
