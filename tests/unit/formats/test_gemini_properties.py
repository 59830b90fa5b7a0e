"""Requests of Gemini: nothing is lost on the way to the domain and back, nor through another format."""

import base64
import json
from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given, strategies as st

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest, RequestRejected
from send2llm.domain.message import (
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
from send2llm.infrastructure.formats.gemini import Target, read_request, write_request
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
