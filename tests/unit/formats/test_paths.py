"""Where something stands in a caller's request: the path of each part leads to where it was said."""

from typing import Any

import pytest

from send2llm.application.field_paths import FieldPaths
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.formats.installed import installed_formats

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": "#call"}'}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/#picture.png"}}
SEEN = {"type": "image", "source": {"type": "url", "url": "https://example.com/#picture.png"}}
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cch=1;"}


def text(said: str, kind: str = "text") -> dict[str, Any]:
    return {"type": kind, "text": said}


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        {
            "messages": [
                {"role": "system", "content": "#brief"},
                {"role": "user", "content": [text("#one"), PICTURE, text("#two")]},
                {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]},
                {"role": "assistant", "reasoning": "#thought", "content": [text("#a"), text("#b")], "refusal": "#no"},
                {"role": "assistant", "content": "#said", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c", "content": [text("#found"), text("#more")]},
            ]
        },
    ),
    "messages": (
        "/v1/messages",
        {
            "max_tokens": 9,
            "system": [BILLING, text("#first"), text("#second")],
            "messages": [
                {"role": "user", "content": "#hi"},
                {
                    "role": "assistant",
                    "content": [text("#well"), {"type": "tool_use", "id": "t", "name": "f", "input": {"x": "#call"}}],
                },
                {
                    "role": "user",
                    "content": [
                        text("#before"),
                        {"type": "tool_result", "tool_use_id": "t", "content": [text("#a"), SEEN, text("#b")]},
                        {"type": "tool_result", "tool_use_id": "u", "content": "#c"},
                        text("#after"),
                    ],
                },
            ],
        },
    ),
    "messages, plain system": (
        "/v1/messages",
        {"max_tokens": 9, "system": "#brief", "messages": [{"role": "user", "content": "#hi"}]},
    ),
    "responses": (
        "/v1/responses",
        {
            "instructions": "#brief",
            "input": [
                {"role": "user", "content": [text("#one", "input_text"), text("#two", "input_text")]},
                {"type": "reasoning", "summary": [text("#thought", "summary_text")]},
                {"role": "assistant", "content": [text("#said", "output_text")]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"x": "#call"}'},
                {"type": "function_call_output", "call_id": "c", "output": "#found"},
                {"role": "assistant", "content": "#then"},
                {"role": "user", "content": "#so"},
            ],
        },
    ),
    "responses, plain": ("/v1/responses", {"input": "#hi"}),
    "embeddings": ("/v1/embeddings", {"input": ["#one", "#two"]}),
    "embeddings, plain": ("/v1/embeddings", {"input": "#one"}),
}


def at(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body[int(name)] if isinstance(body, list) else body[name]
    return body


def sign_of(part: Any) -> str:
    """What was said in a part, from its ``#`` on."""
    return repr(part).partition("#")[2].partition('"')[0].partition("'")[0]


@pytest.mark.parametrize("case", BODIES)
def test_the_path_of_each_part_leads_to_it(case: str) -> None:
    path, body = BODIES[case]
    (format_,) = (one for one in installed_formats() if path in one.paths)
    request = format_.read({"model": "m", **body}, {})

    for number, message in enumerate(request.messages):
        for place, part in enumerate(message.parts):
            found = request.path_of(number, place)
            assert f"#{sign_of(part)}" in repr(at(body, found)), (found, part)
        whole = repr(at(body, request.path_of(number, None)))
        assert all(f"#{sign_of(part)}" in whole for part in message.parts[:1])
    assert at(body, request.path_of(None, None))


def said(*texts: str) -> Message:
    return Message("user", tuple(map(TextPart, texts)))


class TestWhatHandlersHaveChanged:
    def test_is_found_by_itself_when_others_came_and_went(self) -> None:
        asked = [said("a"), said(""), said("b")]
        places = FieldPaths(asked, lambda message, part: f"{message}.{part}")
        now = [said("from a template"), asked[0], asked[2]]

        assert [places.of(now, place, 0) for place in range(3)] == ["None.None", "0.0", "2.0"]

    def test_is_found_by_its_number_when_each_stands_where_it_stood(self) -> None:
        asked = [said("a"), said("b", "")]
        places = FieldPaths(asked, lambda message, part: f"{message}.{part}")

        assert places.of([said("A"), said("B", "C")], 1, 1) == "1.1"
        assert places.of([said("A"), said("B")], 1, 0) == "1.None"
