"""Requests of OpenAI's responses; the examples follow https://platform.openai.com/docs/api-reference/responses/create."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from send2llm.domain.completion import Parameters
from send2llm.domain.continuation import INSTRUCTIONS, EarlierAnswer
from send2llm.domain.errors import EarlierAnswerNotFound, InvalidRequest, RequestRejected
from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    transcript_digest,
)
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.responses import (
    earlier_answer,
    read_input,
    read_request,
    response_id,
    write_input,
    write_request,
)

USER = {"type": "message", "role": "user", "content": "Hi"}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Second."}],
    "encrypted_content": "gAAAA",
}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [
        {
            "type": "output_text",
            "text": "See",
            "annotations": [{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 3}],
        },
        {"type": "refusal", "refusal": "No more."},
    ],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "-4"}
CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "code", "input": "print(1)"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "call_2", "output": "1"}
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}
COMPUTER_OUTPUT = {
    "type": "computer_call_output",
    "call_id": "call_3",
    "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA=="},
}


def test_items_become_messages() -> None:
    messages = read_input([USER, REASONING, SAID, CALL, CUSTOM, SEARCH, OUTPUT, CUSTOM_OUTPUT, COMPUTER_OUTPUT])

    user, answer, first, second, third = messages
    assert user == Message("user", (TextPart("Hi"),), format="responses")
    assert answer.role == "assistant"
    assert answer.parts == (
        ReasoningPart("First.", "gAAAA", extras={"item": {"id": "rs_1"}}),
        ReasoningPart("Second."),
        TextPart("See", extras={"annotations": SAID["content"][0]["annotations"], "item": {"id": "msg_1"}}),  # type: ignore[index]
        RefusalPart("No more."),
        ToolCallPart("call_1", "weather", '{"city": "Oslo"}', extras={"id": "fc_1"}),
        ToolCallPart("call_2", "code", "print(1)", extras={"id": "ctc_1", "type": "custom"}),
        ForeignPart("responses", SEARCH),
    )
    assert (first.role, first.parts) == ("tool", (ToolResultPart("call_1", "-4"),))
    assert (second.role, second.parts) == ("tool", (ToolResultPart("call_2", "1"),))
    assert third.parts == (ForeignPart("responses", COMPUTER_OUTPUT),)


def test_a_text_is_what_the_user_says() -> None:
    assert read_input("Hi") == [Message("user", (TextPart("Hi"),), format="responses")]


def test_parts_of_the_user() -> None:
    image = {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"}
    file = {"type": "input_file", "file_id": "file_1"}
    picture = {"type": "input_image", "file_id": "file_2", "detail": "auto"}
    told = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Look:"}, image, file, picture],
    }
    (message,) = read_input([told])

    assert message.parts == (
        TextPart("Look:"),
        ImagePart("https://a/b.png", "low"),
        ForeignPart("responses", file),
        ForeignPart("responses", picture),
    )
    assert write_input([message]) == [told]


def test_results_may_hold_pictures() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}
    mixed = {**OUTPUT, "output": [{"type": "input_text", "text": "this:"}, image]}
    only = {**OUTPUT, "call_id": "call_9", "output": [image]}
    messages = read_input([USER, CALL, mixed, only])

    assert messages[2].parts == (ToolResultPart("call_1", "this:"), ImagePart(image["image_url"], "auto"))
    assert write_input(messages) == [USER, CALL, mixed, only]


def test_several_messages_of_the_assistant_keep_their_bounds() -> None:
    items = [
        USER,
        {"type": "message", "role": "assistant", "content": "one"},
        {"type": "message", "role": "assistant", "content": "two"},
        {"type": "message", "id": "msg_3", "role": "assistant", "phase": "commentary", "content": [_text("three")]},
    ]
    messages = read_input(items)

    assert [part.text for part in messages[1].parts] == ["one", "two", "three"]  # type: ignore[union-attr]
    assert [_spelled(item) for item in write_input(messages)] == [_spelled(item) for item in items]


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _spelled(item: dict[str, Any]) -> dict[str, Any]:
    """With texts as parts, which mean the same."""
    kind = "output_text" if item.get("role") == "assistant" else "input_text"
    content = item.get("content")
    if not isinstance(content, str):
        return item
    part = {"type": kind, "text": content}
    return {**item, "content": [{**part, "annotations": []} if kind == "output_text" else part]}


_texts = st.text(max_size=8)
_ids = st.text("abcdef0123456789", min_size=1, max_size=6)
_output_text = st.builds(
    lambda text, cited: {
        "type": "output_text",
        "text": text,
        "annotations": [{"type": "file_citation", "file_id": "f", "filename": "n", "index": 1}] * cited,
    },
    st.text(min_size=1, max_size=8),
    st.integers(0, 2),
)
_refusal = st.builds(lambda text: {"type": "refusal", "refusal": text}, st.text(min_size=1, max_size=8))
said_messages = st.builds(
    lambda name, content: {"type": "message", "id": f"msg_{name}", "role": "assistant", "content": content},
    _ids,
    st.lists(_output_text | _refusal, min_size=1, max_size=3),
)
thoughts = st.builds(
    lambda name, summary, encrypted: {
        "type": "reasoning",
        "id": f"rs_{name}",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
        "encrypted_content": encrypted,
    },
    _ids,
    st.lists(st.text(min_size=1, max_size=8), max_size=3),
    st.text("abc", min_size=1, max_size=4),
)
calls = st.builds(
    lambda name, text, custom: (
        {"type": "custom_tool_call", "id": f"ctc_{name}", "call_id": f"call_{name}", "name": "f", "input": text}
        if custom
        else {"type": "function_call", "id": f"fc_{name}", "call_id": f"call_{name}", "name": "f", "arguments": text}
    ),
    _ids,
    _texts,
    st.booleans(),
)
built_in = st.builds(lambda name: {**SEARCH, "id": f"ws_{name}"}, _ids)
outputs = st.lists(said_messages | thoughts | calls | built_in, max_size=6)
_told = st.builds(
    lambda role, text: {"type": "message", "role": role, "content": text},
    st.sampled_from(["user", "system", "developer"]),
    _texts,
)
_results = st.builds(lambda name, text: {**OUTPUT, "call_id": f"call_{name}", "output": text}, _ids, _texts)
conversations = st.lists(_told | _results | said_messages | thoughts | calls | built_in, min_size=1, max_size=8)


@given(conversations)
def test_what_was_read_is_written_as_it_was(items: list[dict[str, Any]]) -> None:
    custom = {item["call_id"] for item in items if item["type"] == "custom_tool_call"}
    items = [item for item in items if item["type"] != "function_call_output" or item["call_id"] not in custom]
    if items:
        assert [_spelled(item) for item in write_input(read_input(items))] == [_spelled(item) for item in items]


@given(st.lists(_told | _results | said_messages | calls, min_size=1, max_size=8))
def test_what_was_said_survives_the_way_through_chat_completions(items: list[dict[str, Any]]) -> None:
    messages = read_input(items)
    bodies = openai_chat.write_messages(messages)
    again = [openai_chat.read_message(body) for body in bodies]

    def told(messages: list[Message]) -> list[Any]:
        return [
            (message.role, message.text, [(call.id, call.name, call.arguments) for call in message.tool_calls])
            for message in messages
        ]

    assert told(again) == told(messages)
    assert [part.content for one in again for part in one.parts if isinstance(part, ToolResultPart)] == [
        part.content for one in messages for part in one.parts if isinstance(part, ToolResultPart)
    ]
    written = write_input(again)
    assert [item.get("call_id") for item in written if "call_id" in item] == [
        item["call_id"] for item in items if "call_id" in item
    ]


def test_a_chat_that_is_told_in_responses_continues_the_same_conversation() -> None:
    chat = [
        openai_chat.read_message(body)
        for body in (
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "See", "tool_calls": [_chat_call()]},
            {"role": "tool", "tool_call_id": "call_1", "content": "-4"},
        )
    ]
    told = read_input([USER, {"type": "message", "role": "assistant", "content": "See"}, CALL, OUTPUT])

    def digest(messages: list[Message]) -> bytes:
        chain = b""
        for message in messages:
            chain = transcript_digest(chain, message)
        return chain

    assert digest(chat) == digest(told)


def _chat_call() -> dict[str, Any]:
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    return {"id": "call_1", "type": "function", "function": function}


# Whole requests


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "input": "Hi", **fields}


WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: NUMBER"}
SCHEMA = {"type": "json_schema", "name": "Person", "schema": {"type": "object"}, "strict": True}


def test_a_request() -> None:
    read = read_request(
        request(
            instructions="Be kind.",
            stream=True,
            max_output_tokens=50,
            temperature=0.5,
            top_p=1,
            parallel_tool_calls=False,
            reasoning={"effort": "low", "summary": "auto"},
            text={"format": SCHEMA, "verbosity": "low"},
            tools=[
                {**WEATHER, "defer_loading": True},
                {"type": "custom", "name": "code", "format": GRAMMAR},
                {"type": "web_search"},
            ],
            tool_choice={"type": "function", "name": "weather"},
            store=False,
            metadata=None,
        )
    )

    assert (read.model, read.stream, read.after) == ("m", True, None)
    instructions, said = read.messages
    assert (instructions.role, instructions.text, instructions.extras) == ("system", "Be kind.", {INSTRUCTIONS: True})
    assert said.text == "Hi"
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: NUMBER"}}
    assert read.parameters == Parameters(
        max_output_tokens=50,
        temperature=0.5,
        top_p=1,
        parallel_tool_calls=False,
        reasoning_effort="low",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "Person", "schema": {"type": "object"}, "strict": True},
        },
        tools=(
            {"type": "function", "function": function, "responses": {"defer_loading": True}},
            {"type": "custom", "custom": {"name": "code", "format": grammar}},
            {"type": "foreign", "format": "responses", "body": {"type": "web_search"}},
        ),
        tool_choice={"type": "function", "function": {"name": "weather"}},
        format="responses",
        extras={"store": False, "reasoning": {"summary": "auto"}, "text": {"verbosity": "low"}},
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"instructions": "Be kind."},
        {
            "tools": [
                WEATHER,
                {"type": "custom", "name": "code", "format": GRAMMAR},
                {"type": "mcp", "server_label": "s"},
            ]
        },
        {"tools": [{"type": "function", "name": "f", "parameters": None}]},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "custom", "name": "code"}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
        {"tool_choice": {"type": "mcp", "server_label": "s"}},
        {"text": {"format": SCHEMA, "verbosity": "high"}},
        {"text": {"format": {"type": "json_object"}}},
        {"reasoning": {"effort": "high", "summary": "detailed"}},
        {"reasoning": {"summary": "auto"}},
        {"max_output_tokens": 16, "temperature": 0, "top_p": 0.5, "parallel_tool_calls": True},
        {"max_output_tokens": 0},
        {"metadata": {"a": "b"}, "truncation": "auto", "service_tier": "flex", "prompt_cache_key": "k", "user": "u"},
        {"safety_identifier": "s", "max_tool_calls": 3, "top_logprobs": 2, "prompt": {"id": "p"}, "moderation": {}},
    ],
)
def test_a_request_is_written_as_it_was_read(fields: dict[str, Any]) -> None:
    body = request(**fields, input=[USER])
    read = read_request(body)

    written = write_request("m", read.messages, read.parameters)
    expected = {name: value for name, value in body.items() if value is not None}
    if "tools" in expected:
        expected["tools"] = [{k: v for k, v in tool.items() if v is not None} for tool in expected["tools"]]
    assert written == {**expected, "store": False, "include": ["reasoning.encrypted_content"]}


def test_nothing_is_kept_by_the_provider_unless_it_shall() -> None:
    read = read_request(request(store=True, previous_response_id=None, include=["web_search_call.results"]))

    written = write_request("m", read.messages, read.parameters)
    assert (written["store"], written["include"]) == (
        False,
        ["web_search_call.results", "reasoning.encrypted_content"],
    )
    kept = write_request("m", read.messages, read.parameters, store=True)
    assert (kept["store"], kept["include"]) == (True, ["web_search_call.results"])


def test_a_thought_that_only_its_provider_knows_is_not_given_back_to_one_that_keeps_nothing() -> None:
    known = {name: value for name, value in REASONING.items() if name != "encrypted_content"}
    messages = read_input([USER, known, CALL])

    assert [item["type"] for item in write_input(messages, stored_thoughts=False)] == ["message", "function_call"]
    assert write_input(messages) == [USER, known, CALL]


def test_what_chat_completions_ask_is_asked() -> None:
    chat = openai_chat.read_request(
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
            "tools": [
                {"type": "function", "function": {"name": "f"}},
                {"type": "custom", "custom": {"name": "code", "format": {"type": "text"}}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "P", "schema": {}}},
            "reasoning_effort": "low",
            "max_completion_tokens": 20,
            "metadata": {"a": "b"},
            "verbosity": "low",
            "service_tier": "flex",
        }
    )

    assert write_request("m", chat.messages, chat.parameters, stream=True) == {
        "model": "m",
        "input": [
            {"type": "message", "role": "system", "content": "Be kind."},
            {"type": "message", "role": "user", "content": "Hi"},
        ],
        "tools": [
            # What chat completions leave out is not strict; here it would be.
            {"type": "function", "name": "f", "strict": False, "parameters": {"type": "object", "properties": {}}},
            {"type": "custom", "name": "code", "format": {"type": "text"}},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "P", "schema": {}}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 20,
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "stream": True,
    }


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 2}, "'n'"),
        ({"stop": "x"}, "'stop'"),
        ({"seed": 1}, "'seed'"),
        ({"top_k": 1}, "'top_k'"),
        ({"presence_penalty": 1}, "'presence_penalty'"),
        ({"logit_bias": {"1": 1}}, "'logit_bias'"),
        ({"logprobs": True}, "'logprobs'"),
        ({"messages": [{"role": "user", "name": "Ada", "content": "Hi"}]}, "'messages.name'"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "input_audio"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    chat = openai_chat.read_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields})
    with pytest.raises(RequestRejected, match=named):
        write_request("m", chat.messages, chat.parameters)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"input": "Hi"}, "model", "is missing"),
        (request(model=""), "model", "must name a model"),
        (request(model=1), "model", "must be a string"),
        ({"model": "m"}, "input", "is missing"),
        (request(input=[]), "input", "must not be an empty list"),
        (request(input={}), "input", "must be a string or a list of items"),
        (request(input=["Hi"]), "input.0", "must be an object"),
        (request(input=[USER, {"role": "king"}]), "input.1.role", "must be user"),
        (request(input=[{"type": 5}]), "input.0.type", "must be a string"),
        (request(input=[{"role": "user"}]), "input.0.content", "is missing"),
        (
            request(input=[{"role": "user", "content": [{"type": "input_text"}]}]),
            "input.0.content.0.text",
            "is missing",
        ),
        (request(input=[{"type": "function_call", "name": "f"}]), "input.0.call_id", "is missing"),
        (request(input=[{"type": "function_call_output", "output": "x"}]), "input.0.call_id", "is missing"),
        (request(input=[{**REASONING, "summary": [5]}]), "input.0.summary.0", "must be an object"),
        (request(tools=[{"name": "f"}]), "tools.0.type", "is missing"),
        (request(tools=[{"type": "function", "function": {"name": "f"}}]), "tools.0.name", "is missing"),
        (request(tools="all"), "tools", "must be a list"),
        (request(tool_choice=5), "tool_choice", "must be a string or an object"),
        (request(text={"format": "json"}), "text.format", "must be an object"),
        (request(text="json"), "text", "must be an object"),
        (request(reasoning={"effort": 5}), "reasoning.effort", "must be a string"),
        (request(instructions=["a"]), "instructions", "must be a string"),
        (request(include="all"), "include", "must be a list"),
        (request(temperature="hot"), "temperature", "must be a number"),
        (request(max_output_tokens=1.5), "max_output_tokens", "must be an integer"),
        (request(stream="yes"), "stream", "must be a boolean"),
        (request(background=True), "background", "is not supported"),
        (request(conversation="conv_1"), "conversation", "previous_response_id"),
        (request(previous_response_id=5), "previous_response_id", "must be a string"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(body: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        read_request(body)
    assert caught.value.param == param


# Anything

_wrong = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=3), st.just([]), st.just({}))
_RESPONSES = request(
    input=[USER, REASONING, SAID, CALL, CUSTOM, SEARCH, OUTPUT, CUSTOM_OUTPUT],
    tools=[WEATHER, {"type": "custom", "name": "code", "format": GRAMMAR}, {"type": "mcp", "server_label": "s"}],
    tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    text={"format": SCHEMA, "verbosity": "high"},
    reasoning={"effort": "high", "summary": "auto"},
    include=["message.output_text.logprobs"],
)
_CHAT = {
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": "See", "tool_calls": [_chat_call()]},
        {"role": "tool", "tool_call_id": "call_1", "content": "-4"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        {"type": "custom", "custom": {"name": "code", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}},
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
    },
    "response_format": {"type": "json_schema", "json_schema": {"name": "P", "schema": {}}},
}


def spoiled(body: Any, data: st.DataObject) -> Any:
    """The same with a wrong value somewhere."""
    if isinstance(body, dict) and body and data.draw(st.integers(0, 3)):
        name = data.draw(st.sampled_from(sorted(body)))
        return {**body, name: spoiled(body[name], data)}
    if isinstance(body, list) and body and data.draw(st.integers(0, 3)):
        place = data.draw(st.integers(0, len(body) - 1))
        return [*body[:place], spoiled(body[place], data), *body[place + 1 :]]
    return data.draw(_wrong)


@settings(max_examples=400)
@given(st.data())
def test_no_request_does_harm(data: st.DataObject) -> None:
    """It is read, or refused; and what was read is written for any provider, or refused."""
    try:
        name = data.draw(st.sampled_from(sorted(_RESPONSES)))
        read = read_request({**_RESPONSES, name: spoiled(_RESPONSES[name], data)})
    except InvalidRequest:
        return
    for write in (write_request, openai_chat.write_request):
        with suppress(RequestRejected):
            write("m", read.messages, read.parameters)


@settings(max_examples=400)
@given(st.data())
def test_no_request_of_chat_completions_does_harm(data: st.DataObject) -> None:
    try:
        read = openai_chat.read_request(spoiled(_CHAT, data))
    except InvalidRequest:
        return
    with suppress(RequestRejected):
        write_request("m", read.messages, read.parameters)


# Names of answers


@given(st.uuids(), st.uuids())
def test_an_answer_is_found_by_its_name(conversation_id: UUID, completion_id: UUID) -> None:
    name = response_id(conversation_id, completion_id)
    assert earlier_answer(name) == EarlierAnswer(conversation_id, completion_id)
    assert read_request(request(previous_response_id=name)).after == EarlierAnswer(conversation_id, completion_id)


@pytest.mark.parametrize(
    "name",
    ["", "resp_", "0" * 64, "resp_" + "0" * 63, "resp_" + "0" * 65, "resp_" + "1_" * 32, "resp_" + "A" * 64, "resp_é"],
)
def test_other_names_are_of_no_answer(name: str) -> None:
    assert earlier_answer(name) is None
    with pytest.raises(EarlierAnswerNotFound):
        read_request(request(previous_response_id=name))
