"""Nested fields, too, are refused by name where another format has no word for them."""

import pytest

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest, RequestRejected
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.formats.anthropic.requests import read_request as read_messages
from send2llm.infrastructure.formats.foreign import FORMATS, refuse_foreign_fields
from send2llm.infrastructure.formats.openai_chat import read_request as read_chat

SCHEMA = {"type": "object"}
FUNCTION = {"name": "f", "parameters": SCHEMA}


def of_chat(**fields: object) -> Parameters:
    return read_chat({"model": "m", "messages": [{"role": "user", "content": "x"}], **fields}).parameters


def of_messages(**fields: object) -> Parameters:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], **fields}
    return read_messages(body).parameters


@pytest.mark.parametrize("target", [one for one in FORMATS if one not in ("anthropic", "openai")])
@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        (of_messages(tools=[{"name": "f", "input_schema": SCHEMA, "input_examples": [{}]}]), "tools.0.input_examples"),
        (of_messages(tools=[{"name": "f", "input_schema": SCHEMA, "mood": "good"}]), "tools.0.mood"),
        (of_chat(tools=[{"type": "function", "function": FUNCTION, "mood": "good"}]), "tools.0.mood"),
        (of_chat(tools=[{"type": "function", "function": {**FUNCTION, "mood": "good"}}]), "tools.0.mood"),
        (of_chat(response_format={"type": "json_object", "mood": "good"}), "response_format.mood"),
    ],
)
def test_a_nested_field_is_refused_by_its_place(parameters: Parameters, field: str, target: str) -> None:
    with pytest.raises(RequestRejected, match="cannot be said") as refused:
        refuse_foreign_fields(parameters, target)

    assert refused.value.param == field


def test_what_is_harmless_in_a_tool_is_kept() -> None:
    tool = {"name": "f", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}, "type": "custom"}

    refuse_foreign_fields(of_messages(tools=[tool]), openai_chat.FORMAT)


def test_a_choice_of_tools_with_an_unknown_field_is_refused_at_the_door() -> None:
    with pytest.raises(InvalidRequest, match="known here") as refused:
        of_messages(tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice={"type": "auto", "mood": "good"})

    assert refused.value.param == "tool_choice.mood"
