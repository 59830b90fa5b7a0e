"""Requests of Gemini, from the domain to JSON and back."""

import base64
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import EmbeddingParameters, Parameters
from send2llm.domain.errors import CannotBound, InvalidRequest, RequestRejected
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
from send2llm.domain.upper_bound.input_tokens import most_input_tokens
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.gemini import Target, read_request, write_contents, write_instances, write_request
from send2llm.testing.gemini_server import problem_of

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


# Properties

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
values = st.recursive(
    st.booleans() | st.integers(-(2**50), 2**50) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
_WORDS = {
    "text", "thought", "thoughtSignature", "functionCall", "functionResponse", "inlineData", "fileData", "mimeType",
    "data", "fileUri", "id", "name", "args", "response", "parts", "functionDeclarations", "functionCallingConfig",
    "mode", "allowedFunctionNames", "thinkingConfig", "thinkingBudget", "responseJsonSchema", "stopSequences", "level",
    "mediaResolution", "error", "output", "parameters", "parametersJsonSchema",
}  # fmt: skip
names = st.text("abcdefgh_", min_size=1, max_size=6)
base64_texts = st.binary(max_size=6).map(lambda data: base64.b64encode(data).decode())
signatures = st.fixed_dictionaries({}, optional={"thoughtSignature": base64_texts.filter(bool)})


def signed(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda part, signature: {**part, **signature}, parts, signatures)


text_parts = st.builds(lambda text: {"text": text}, words)
thought_parts = signed(st.builds(lambda text: {"text": text, "thought": True}, words))
image_parts = st.builds(
    lambda kind, data, level: {"inlineData": {"mimeType": f"image/{kind}", "data": data}, **level},
    st.sampled_from(["png", "jpeg"]),
    base64_texts,
    st.sampled_from([{}, {"mediaResolution": {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"}}]),
)
file_parts = st.builds(
    lambda uri, kind: {"fileData": {"mimeType": kind, "fileUri": uri}},
    st.sampled_from(["https://example.org/a", "gs://bucket/a"]),
    st.sampled_from(["image/png", "application/pdf"]),
)
odd_parts = st.sampled_from(
    [
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thought": True},
    ]
)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Contents in turn: what the user says, calls and texts of the model, results of all calls."""
    body: list[dict[str, Any]] = []
    said = text_parts | image_parts | file_parts
    for turn in range(draw(st.integers(1, 3))):
        body.append({"role": "user", "parts": draw(st.lists(said, min_size=1, max_size=3))})
        answer = draw(st.lists(signed(text_parts) | thought_parts | odd_parts, min_size=1, max_size=3))
        calls = [
            {"functionCall": {"id": f"call-{turn}-{place}", "name": name, "args": arguments}, **signature}
            for place, (name, arguments, signature) in enumerate(
                draw(st.lists(st.tuples(names, st.dictionaries(words, values, max_size=2), signatures), max_size=2))
            )
        ]
        body.append({"role": "model", "parts": answer + calls})
        results = []
        for call in (part["functionCall"] for part in calls):
            response = draw(
                st.builds(lambda text: {"output": text}, words)
                | st.builds(lambda text: {"error": text}, words)
                | st.dictionaries(names, values, max_size=2)
            )
            results.append({"functionResponse": {"id": call["id"], "name": call["name"], "response": response}})
        if results:
            body.append({"role": "user", "parts": results})
    return body


configs = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "topP": st.floats(0, 1),
        "topK": st.integers(1, 40),
        "seed": st.integers(0, 2**31),
        "maxOutputTokens": st.integers(1, 10**6),
        "candidateCount": st.integers(2, 8),
        "stopSequences": st.lists(words, min_size=1, max_size=3),
        "thinkingConfig": st.builds(lambda n: {"thinkingBudget": n, "includeThoughts": True}, st.integers(1, 9999)),
        "mediaResolution": st.just("MEDIA_RESOLUTION_HIGH"),
        "responseMimeType": st.sampled_from(["application/json", "text/plain", "text/x.enum"]),
    },
)


def bodies() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"contents": turns()},
        optional={
            "systemInstruction": st.builds(lambda part: {"parts": [part]}, text_parts),
            "generationConfig": configs.filter(bool),
            "safetySettings": st.lists(values, min_size=1, max_size=2),
        },
    )


@given(bodies())
def test_to_the_domain_and_back_is_the_identity(body: dict[str, Any]) -> None:
    assert again(json.loads(json.dumps(body))) == body


@given(bodies())
def test_reading_what_was_written_reads_the_same(body: dict[str, Any]) -> None:
    read = read_request(body)

    assert read_request(write_request(*read, OLD)) == read


def plain(messages: list[Message]) -> list[tuple[str, str, list[object]]]:
    """Who said what, in order, whatever format it went through; neighbours of one role together, as Gemini has them."""
    said: list[tuple[str, str, list[object]]] = []
    for message in messages:
        parts: list[object] = []
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                parts.append((part.id, part.name, json.loads(part.arguments)))
            elif isinstance(part, ToolResultPart):
                parts.append((part.tool_call_id, part.content))
            elif isinstance(part, ImagePart):
                parts.append(part.url)
            elif isinstance(part, TextPart):
                parts.append(part.text)
        if said and said[-1][0] == message.role != "tool":
            said[-1][2].extend(parts)
        else:
            said.append((message.role, message.name or "", parts))
    return said


openai_texts = st.builds(TextPart, words)
openai_images = st.builds(ImagePart, st.sampled_from(["data:image/png;base64,AA==", "https://example.org/a.png"]))


@st.composite
def openai_conversations(draw: st.DrawFn) -> list[Message]:
    messages = [Message("system", (draw(openai_texts),))]
    for turn in range(draw(st.integers(1, 3))):
        messages.append(Message("user", tuple(draw(st.lists(openai_texts | openai_images, min_size=1, max_size=3)))))
        drawn = draw(st.lists(st.tuples(names, st.dictionaries(words, values, max_size=2)), max_size=2))
        calls = tuple(ToolCallPart(f"c{turn}{n}", name, json.dumps(body)) for n, (name, body) in enumerate(drawn))
        messages.append(Message("assistant", (draw(openai_texts), *calls)))
        messages += [Message("tool", (ToolResultPart(call.id, draw(words)),)) for call in calls]
    return messages


@given(openai_conversations(), st.sampled_from([OLD, NEW]))
def test_what_was_said_in_another_format_is_said_to_gemini(messages: list[Message], target: Target) -> None:
    came = openai_chat.read_request({"model": "m", "messages": openai_chat.write_messages(messages)}).messages

    read, _ = read_request(write_request(came, Parameters(), target))

    assert plain(read) == plain(messages)
    back = openai_chat.read_request({"model": "m", "messages": openai_chat.write_messages(read)}).messages
    assert plain(back) == plain(messages)


nonsense = st.recursive(
    st.none() | values | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(sorted(_WORDS)), inner, max_size=3),
)


@given(
    st.fixed_dictionaries(
        {"contents": st.lists(st.fixed_dictionaries({"parts": st.lists(nonsense, max_size=2)}) | nonsense, max_size=2)},
        optional={"tools": st.lists(nonsense), "toolConfig": nonsense, "generationConfig": nonsense},
    )
)
def test_nonsense_is_read_or_refused_and_never_crashes(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest, RequestRejected):
        write_request(*read_request(body), NEW)


any_part = (
    st.builds(TextPart, st.just("") | words)
    | st.builds(RefusalPart, words)
    | st.builds(ReasoningPart, words, st.just("") | words)
    | st.builds(ImagePart, st.sampled_from(["data:image/png;base64,AA==", "https://example.org/a", "data:x", ""]))
    | st.builds(ToolCallPart, names, names, st.sampled_from(["{}", "", '{"x": [1]}', "[]", "{"]))
    | st.builds(ToolResultPart, names, words)
    | st.builds(ForeignPart, st.just("gemini"), st.just({"executableCode": {"code": "1"}}))
    | st.builds(ForeignPart, st.just("openai"), st.just({"type": "file"}))
)
any_message = st.builds(
    Message,
    st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    st.lists(any_part, max_size=3).map(tuple),
    st.sampled_from([None, None, None, "f"]),
    format=st.sampled_from(["openai", "gemini", "anthropic"]),
)


@given(st.lists(any_message, max_size=4), st.sampled_from([OLD, NEW]))
def test_whatever_is_sent_is_what_google_takes(messages: list[Message], target: Target) -> None:
    with suppress(RequestRejected):
        body = json.loads(orjson.dumps(written(USER, *messages, target=target), default=dict))
        assert problem_of("generateContent", body) == ""


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
        ({"tools": ({"type": "function", "function": 5},)}, "tools.function"),
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
        (Message("system", (ImagePart("data:image/png;base64,AA=="),)), "system instruction"),
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


def test_contents_for_embed_content() -> None:
    image = Message("user", (TextPart("a"), ImagePart("data:image/png;base64,AA==")))

    parameters = Parameters(embedding=EmbeddingParameters(purpose="clustering"))

    (body,) = write_contents([image], parameters, NEW)

    assert write_contents([image, image], parameters, NEW) == [{"requests": [body, body]}]
    assert body == {
        "content": {
            "role": "user",
            "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
        },
        "embedContentConfig": {"autoTruncate": False, "taskType": "CLUSTERING"},
    }


def test_a_purpose_without_a_word_is_refused() -> None:
    with pytest.raises(RequestRejected, match="input_type"):
        write_instances([USER], Parameters(embedding=EmbeddingParameters(purpose="image")))
    with pytest.raises(RequestRejected, match="image"):
        write_instances([Message("user", (ImagePart("data:image/png;base64,AA=="),))], Parameters())
