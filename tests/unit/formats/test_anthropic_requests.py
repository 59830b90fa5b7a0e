"""Requests of Anthropic's messages, from JSON into the domain and back.

Bodies are from https://platform.claude.com/docs/en/api/messages/create and the guides that it names.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest, RequestRejected
from send2llm.domain.message import (
    ContentPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.anthropic import read_request, write_prompt, write_request

CACHED = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
SEE = {"type": "text", "text": "See:"}
FOUND = {"type": "web_search_result", "url": "https://x"}
MODEL = "claude-opus-5-5"

WHOLE: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 20_000,
    "system": [{"type": "text", "text": "You are terse."}, {"type": "text", "text": "A long book.", **HOUR}],
    "messages": [
        {"role": "user", "content": "What is in the picture, and the weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Two tools.", "signature": "EqQBCg=="},
                {"type": "redacted_thinking", "data": "EmwKAhgB"},
                {"type": "text", "text": "I will look."},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "here", "how": [1, 2.5]}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}, "caller": {"type": "direct"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [SEE, PICTURE]},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no radar", "is_error": True, **CACHED},
                {"type": "text", "text": "And now?", **CACHED},
            ],
        },
        {"role": "system", "content": "The user is in a hurry."},
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [FOUND]},
                {"type": "text", "text": "Rain.", "citations": [{"type": "web_search_result_location", "url": "x"}]},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "title": "t"},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]},
                {"type": "text", "text": "Compare."},
            ],
        },
    ],
    "tools": [
        {"name": "look", "description": "Look.", "input_schema": {"type": "object"}, "strict": True, **CACHED},
        {"type": "custom", "name": "weather", "input_schema": {"type": "object"}, "eager_input_streaming": True},
        {"type": "web_search_20260209", "name": "web_search", "max_uses": 3},
    ],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "stop_sequences": ["END"],
    "temperature": 1,
    "top_p": 0.9,
    "top_k": 40,
    "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
    "output_config": {
        "effort": "xhigh",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
        "task_budget": {"type": "tokens", "total": 9},
    },
    "metadata": {"user_id": "u1"},
    "service_tier": "standard_only",
    "container": "container_1",
    "mcp_servers": [{"type": "url", "url": "https://mcp", "name": "m"}],
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "cache_control": {"type": "ephemeral"},
    "stream": True,
}  # fmt: skip


def again(body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """The body after its way through the domain."""
    request = read_request(body, headers)
    return write_request(request.model, request.messages, request.parameters, stream=request.stream)


def ask(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 100, "messages": list(messages), **fields}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def written(*messages: Message, model: str = MODEL, **parameters: Any) -> dict[str, Any]:
    return write_request(model, messages, Parameters(**parameters))


def test_a_request_with_everything_comes_out_as_it_was() -> None:
    assert again(WHOLE) == WHOLE


def test_a_request_in_words_of_the_domain() -> None:
    request = read_request(WHOLE, {"anthropic-beta": "a,b"})
    roles = [message.role for message in request.messages]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user", "system", "assistant", "user"]
    assert request.messages[2].parts[:3] == (
        ReasoningPart("Two tools.", "EqQBCg=="),
        ReasoningPart("", "EmwKAhgB", extras={"type": "redacted_thinking"}),
        TextPart("I will look."),
    )
    assert request.messages[2].tool_calls[0] == ToolCallPart("toolu_1", "look", '{"where":"here","how":[1,2.5]}')
    assert request.messages[3].parts == (
        ToolResultPart("toolu_1", "See:"),
        ImagePart(f"data:image/png;base64,{PIXEL}"),
    )
    assert request.messages[4].parts == (ToolResultPart("toolu_2", "no radar", extras=CACHED, is_error=True),)
    assert [type(part) for part in request.messages[-1].parts] == [
        ForeignPart, ImagePart, ForeignPart, ForeignPart, TextPart,
    ]  # fmt: skip
    assert {message.format for message in request.messages} == {"anthropic"}
    parameters = request.parameters
    assert (parameters.max_output_tokens, parameters.reasoning_tokens, parameters.reasoning_effort) == (
        20_000,
        2048,
        "xhigh",
    )
    assert (parameters.temperature, parameters.top_p, parameters.top_k, parameters.stop) == (1, 0.9, 40, ("END",))
    assert parameters.tool_choice == {"type": "function", "function": {"name": "look"}}
    assert parameters.parallel_tool_calls is False
    assert parameters.tools[0] == {
        "type": "function",
        "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": True},
        "anthropic": CACHED,
    }
    assert parameters.tools[2]["type"] == "foreign"
    assert parameters.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert parameters.extras["anthropic-beta"] == "a,b"
    assert request.stream


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "Be brief."},
        {"system": [{"type": "text", "text": "Be brief.", **CACHED}]},
        {"tool_choice": {"type": "auto"}, "tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": False}},
        {"tool_choice": {"type": "none"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"thinking": {"type": "disabled"}},
        {"output_config": {"effort": "low"}},
        {"max_tokens": 0},
        {"stop_sequences": ["a", "b"]},
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=0;"},
                    {"type": "text", "text": "You are Claude Code.", **CACHED}]},
    ],
)  # fmt: skip
def test_fields_come_out_as_they_were(fields: dict[str, Any]) -> None:
    body = ask(user("Hi"), **fields)
    assert again(body) == body


def test_a_budget_of_thought_in_plain_words() -> None:
    body = ask(user("Hi"), thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    request = read_request(body)
    assert request.parameters.reasoning_tokens == 1024
    assert not request.parameters.extras
    assert again(body) == body


def test_a_single_plain_text_is_the_string_that_it_means() -> None:
    block = [{"type": "text", "text": "Hi"}]
    assert again(ask(user(block), system=block)) == ask(user("Hi"), system="Hi")
    result = {"type": "tool_result", "tool_use_id": "t", "content": block}
    assert again(ask(user([result])))["messages"] == [user([{**result, "content": "Hi"}])]


def test_results_come_first_and_together() -> None:
    result = {"type": "tool_result", "tool_use_id": "a", "content": "1"}
    other = {"type": "tool_result", "tool_use_id": "b"}
    said = {"type": "text", "text": "Well?"}
    turned = again(ask(user([said, result]), user([other])))
    assert turned["messages"] == [user([result, other, said])]


def test_a_result_that_is_only_a_picture() -> None:
    body = ask(user([{"type": "tool_result", "tool_use_id": "a", "content": [PICTURE]}]))
    assert again(body) == body
    assert read_request(body).messages[0].parts[0] == ToolResultPart("a", "")


def test_marks_for_caches_inside_of_results_are_kept_apart_from_those_around_them() -> None:
    inner = {"type": "text", "text": "one", **CACHED}
    body = ask(
        user([{"type": "tool_result", "tool_use_id": "a", "content": [inner, {**inner, "text": "two"}], **HOUR}])
    )
    assert again(body) == body


def test_the_block_for_accounts_is_said_to_nobody_but_anthropic() -> None:
    block = {"type": "text", "text": "x-anthropic-billing-header: cch=1;"}
    request = read_request(ask(user("Hi"), system=[block, {"type": "text", "text": "Help."}]))
    assert request.messages[0].text == "Help."
    openai = openai_chat.write_request("m", request.messages, request.parameters)
    assert "billing" not in str(openai)


def test_of_an_empty_system_nothing_is_left() -> None:
    for empty in ("", [], None):
        assert "system" not in again(ask(user("Hi"), system=empty))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "4"}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages.0"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [user([])]}, "messages.0.content"),
        ({"messages": [user(None)]}, "messages.0.content"),
        ({"messages": [user(4)]}, "messages.0.content"),
        ({"messages": [user("a"), user([{"type": "text"}])]}, "messages.1.content.0.text"),
        ({"messages": [user([{"text": "x"}])]}, "messages.0.content.0.type"),
        ({"messages": [user([{"type": "image"}])]}, "messages.0.content.0.source"),
        ({"messages": [user([{"type": "image", "source": {"type": "base64"}}])]},
         "messages.0.content.0.source.media_type"),
        ({"messages": [user([{"type": "tool_use", "id": "a", "name": "b", "input": "{}"}])]},
         "messages.0.content.0.input"),
        ({"messages": [user([{"type": "tool_result", "content": "x"}])]}, "messages.0.content.0.tool_use_id"),
        ({"messages": [user([{"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": 1}]}])]},
         "messages.0.content.0.content.0.text"),
        ({"messages": [user([{"type": "thinking", "thinking": "x"}])]}, "messages.0.content.0.signature"),
        ({"system": 4}, "system"),
        ({"system": [{"type": "text"}]}, "system.0.text"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences.0"),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": 3}}, "output_config.effort"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
    ],
)  # fmt: skip
def test_errors_name_the_field(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(ask(user("Hi")) | change)
    assert caught.value.param == param
    assert str(caught.value).startswith(param)


def test_threads_that_anthropic_would_keep_are_refused_as_its_sdks_understand_it() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(ask(user("Hi"), thread={"type": "create"}))
    assert (caught.value.code, caught.value.param) == ("thread_unsupported_request", "thread")


def test_a_request_to_count_has_no_limit() -> None:
    body = {"model": MODEL, "messages": [user("Hi")], "thinking": {"type": "enabled", "budget_tokens": 2000}}
    request = read_request(body, counting=True)
    assert write_prompt(MODEL, request.messages, request.parameters) == body


# From other formats


def test_a_request_of_openais_format() -> None:
    request = openai_chat.read_request(
        {
            "model": "x",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": "Use tools."},
                {"role": "user", "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]},
                {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [
                    {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{broken"}},
                    {"id": "call_3", "type": "function", "function": {"name": "h", "arguments": ""}}]},
                {"role": "tool", "tool_call_id": "functions.f:0", "content": "one"},
                {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]},
                {"role": "tool", "tool_call_id": "call_3", "content": "three"},
                {"role": "user", "content": "And?"},
            ],
            "tools": [
                {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}],
            "tool_choice": "required", "parallel_tool_calls": False, "max_completion_tokens": 50, "stop": "END",
            "reasoning_effort": "minimal", "user": "u", "store": True,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        }
    )  # fmt: skip
    assert write_request("claude-sonnet-4-5", request.messages, request.parameters) == {
        "model": "claude-sonnet-4-5",
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Use tools."}],
        "messages": [
            user([{"type": "text", "text": "Look"}, PICTURE]),
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "g", "input": {"INVALID_JSON": "{broken"}},
                {"type": "tool_use", "id": "call_3", "name": "h", "input": {}}]},
            user([
                {"type": "tool_result", "tool_use_id": "functions_f_0", "content": "one"},
                {"type": "tool_result", "tool_use_id": "call_2", "content": "two"},
                {"type": "tool_result", "tool_use_id": "call_3", "content": "three"},
                {"type": "text", "text": "And?"}]),
        ],
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-latest", 8192),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4-1", 32_000),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", 64_000),
        ("claude-opus-4-8", 128_000),
        ("claude-haiku-5-5", 128_000),
        ("kimi-k3", 8192),
    ],
)
def test_without_a_limit_the_model_may_write_all_that_it_can(model: str, limit: int) -> None:
    assert written(Message("user", (TextPart("Hi"),)), model=model)["max_tokens"] == limit
    configured = write_request(model, [Message("user", (TextPart("Hi"),))], Parameters(), max_tokens=77)
    assert configured["max_tokens"] == 77


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"seed": 1}, "seed"),
        ({"choices": 2}, "n"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"tools": ({"type": "custom", "custom": {"name": "x"}},)}, "tools"),
        ({"extras": {"logprobs": True}}, "logprobs"),
    ],
)
def test_what_the_format_cannot_say_is_refused_by_name(parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestRejected, match=field):
        written(Message("user", (TextPart("Hi"),)), **parameters)


@pytest.mark.parametrize(
    "part", [ForeignPart("openai", {"type": "input_audio"}), ImagePart("data:image/svg+xml,<svg/>")]
)
def test_parts_that_the_format_does_not_have_are_refused(part: Any) -> None:
    with pytest.raises(RequestRejected):
        written(Message("user", (TextPart("Hi"), part)))


@pytest.mark.parametrize("name", ["container", "mcp_servers", "inference_geo", "speed"])
def test_fields_that_matter_are_not_lost_on_the_way_to_other_formats(name: str) -> None:
    request = read_request(ask(user("Hi"), **{name: "x"}))
    with pytest.raises(RequestRejected, match=name):
        openai_chat.write_request("m", request.messages, request.parameters)


def test_a_coding_agents_request_can_be_said_in_other_formats() -> None:
    fields = {
        name: WHOLE[name] for name in ("metadata", "service_tier", "context_management", "thinking", "cache_control")
    }
    tools = [tool for tool in WHOLE["tools"] if tool["name"] != "web_search"]
    request = read_request(ask(*WHOLE["messages"][:3], tools=tools, system=WHOLE["system"], **fields))
    body = openai_chat.write_request("m", request.messages, request.parameters)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"where":"here","how":[1,2.5]}'
    assert "Two tools." not in str(body)
    assert "EqQBCg" not in str(body)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["look", "weather"]


def test_thoughts_that_anthropic_could_not_verify_are_left_out() -> None:
    foreign = Message("assistant", (ReasoningPart("hm", "sig"), TextPart("Yes.")), format="gemini")
    unsigned = Message("assistant", (ReasoningPart("hm"), TextPart("Yes.")), format="anthropic")
    for message in (foreign, unsigned):
        assert written(Message("user", (TextPart("?"),)), message)["messages"][1]["content"] == "Yes."


def test_turns_in_which_nothing_is_said_are_none() -> None:
    body = written(
        Message("user", (TextPart("a"),)), Message("assistant", (TextPart(""),)), Message("user", (TextPart("b"),))
    )
    assert body["messages"] == [user("a"), user("b")]


def test_a_refusal_is_text() -> None:
    body = written(Message("user", (TextPart("a"),)), Message("assistant", (RefusalPart("No."),)))
    assert body["messages"][1]["content"] == "No."


def test_instructions_in_the_middle_stand_where_the_model_takes_them() -> None:
    said = [
        Message("user", (TextPart("a"),)),
        Message("assistant", (TextPart("b"),)),
        Message("developer", (TextPart("In French."),)),
        Message("user", (TextPart("c"),)),
    ]
    assert written(*said, model="claude-opus-4-8")["messages"][2:] == [
        user("c"),
        {"role": "system", "content": "In French."},
    ]
    assert written(*said, model="claude-sonnet-4-5")["messages"][2:] == [
        user([{"type": "text", "text": "<system>\nIn French.\n</system>"}, {"type": "text", "text": "c"}])
    ]


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-sonnet-4-5"])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_picture_in_instructions_is_shown_in_the_users_turn(role: Role, model: str) -> None:
    shown = Message(role, (TextPart("Our logo:"), ImagePart(f"data:image/png;base64,{PIXEL}")))
    asked = Message("user", (TextPart("Is this it?"),))

    (turn,) = written(shown, asked, model=model)["messages"]

    texts = [{"type": "text", "text": text} for text in ("<system>", "Our logo:", "</system>", "Is this it?")]
    assert turn == user([*texts[:2], PICTURE, *texts[2:]])


@pytest.mark.parametrize("part", [ToolCallPart("a", "f", "{}"), ToolResultPart("a", "x"), ForeignPart("openai", {})])
def test_instructions_of_other_formats_hold_texts_and_pictures(part: ContentPart) -> None:
    with pytest.raises(RequestRejected, match=r"a part of type .* in a message of the role 'system'"):
        written(Message("system", (TextPart("a"), part)), Message("user", (TextPart("b"),)))


def test_a_budget_of_thought_is_cut_with_the_limit_of_the_answer() -> None:
    request = read_request(ask(user("Hi"), max_tokens=9000, thinking={"type": "enabled", "budget_tokens": 8000}))
    cut = replace(request.parameters, max_output_tokens=3000)
    assert write_request(MODEL, request.messages, cut)["thinking"] == {"type": "enabled", "budget_tokens": 2999}


@pytest.mark.parametrize(("effort", "fields"), [
    ("none", {"thinking": {"type": "disabled"}}),
    ("high", {"output_config": {"effort": "high"}}),
])  # fmt: skip
def test_effort_of_other_formats(effort: str, fields: dict[str, Any]) -> None:
    body = written(Message("user", (TextPart("Hi"),)), reasoning_effort=effort)
    assert {name: body.get(name) for name in ("thinking", "output_config") if name in body} == fields


# Any conversation

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.text("abcXYZ019_-", min_size=1, max_size=8)
MARKS = st.sampled_from([{}, CACHED])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS, lambda inner: st.lists(inner, max_size=2)
)
TEXTS = st.builds(lambda said, marks: {"type": "text", "text": said, **marks}, WORDS, MARKS)
PICTURES = st.sampled_from([PICTURE, {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}])
RESULTS = st.builds(
    lambda identifier, content, failed, marks: {
        "type": "tool_result", "tool_use_id": identifier, "content": content,
        **({"is_error": True} if failed else {}), **marks,
    },
    NAMES, WORDS | st.lists(TEXTS | PICTURES, min_size=2, max_size=3), st.booleans(), MARKS,
)  # fmt: skip
CALLS = st.builds(
    lambda identifier, name, given: {"type": "tool_use", "id": identifier, "name": name, "input": given},
    NAMES, NAMES, st.dictionaries(NAMES, JSON, max_size=2),
)  # fmt: skip
THOUGHTS = st.builds(lambda said, proof: {"type": "thinking", "thinking": said, "signature": proof}, WORDS, WORDS)
FOREIGN = st.just({"type": "document", "source": {"type": "file", "file_id": "f"}})
USERS = st.tuples(
    st.lists(RESULTS, max_size=2, unique_by=lambda block: block["tool_use_id"]),
    st.lists(TEXTS | PICTURES | FOREIGN, min_size=1, max_size=3),
).map(lambda halves: user([*halves[0], *halves[1]]))
ANSWERS = st.lists(THOUGHTS | TEXTS | CALLS, min_size=1, max_size=4).map(
    lambda blocks: {"role": "assistant", "content": blocks}
)
CONVERSATIONS = st.lists(st.tuples(USERS, ANSWERS), min_size=1, max_size=3).map(
    lambda turns: [one for turn in turns for one in turn]
)


def normal(turn: dict[str, Any]) -> dict[str, Any]:
    """A single plain text as the string that it means."""
    content = turn["content"]
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        return {**turn, "content": content[0]["text"]}
    return turn


@given(CONVERSATIONS)
def test_any_conversation_comes_out_as_it_was(turns: list[dict[str, Any]]) -> None:
    assert again(ask(*turns))["messages"] == [normal(turn) for turn in turns]


@given(CONVERSATIONS)
def test_what_was_said_survives_another_format(turns: list[dict[str, Any]]) -> None:
    """Through OpenAI's format and back: words, roles, calls and pictures, in their order."""
    told = [
        {**turn, "content": [block for block in turn["content"] if block["type"] not in ("document", "thinking")]}
        for turn in turns
    ]
    told = [turn if turn["content"] else {**turn, "content": [{"type": "text", "text": "x"}]} for turn in told]
    request = read_request(ask(*told))
    body = openai_chat.write_request("m", request.messages, Parameters())
    back = openai_chat.read_request({**body, "model": "m"})
    once, twice = (write_request(MODEL, messages, Parameters()) for messages in (request.messages, back.messages))
    assert essence(twice["messages"]) == essence(once["messages"])


def essence(turns: list[dict[str, Any]]) -> list[Any]:
    """What is said, without marks for caches and failures, and without which text belongs to which block."""
    said: list[Any] = []
    for turn in turns:
        blocks = [{"type": "text", "text": turn["content"]}] if isinstance(turn["content"], str) else turn["content"]
        calls = [block for block in blocks if block["type"] == "tool_use"]  # come last in OpenAI's format
        others = [block for block in blocks if block["type"] != "tool_use"]
        said += [(turn["role"], stripped(block)) for block in [*others, *calls]]
    return said


def stripped(block: Any) -> Any:
    if isinstance(block, dict):
        return {name: stripped(value) for name, value in block.items() if name not in ("cache_control", "is_error")}
    if isinstance(block, list):
        inner = [stripped(value) for value in block]
        return (
            inner[0]["text"]
            if len(inner) == 1 and isinstance(inner[0], dict) and inner[0].keys() == {"type", "text"}
            else inner
        )
    return block
