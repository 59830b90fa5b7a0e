"""Requests that no provider would understand: no format stumbles over what callers may write into tools."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from send2llm.domain.completion import Parameters
from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.formats import bedrock, cohere, ollama

HI = [Message("user", (TextPart("Hi"),))]
WRITERS = {
    "bedrock": lambda parameters: bedrock.write_request(HI, parameters, "anthropic"),
    "cohere": lambda parameters: cohere.write_request("m", HI, parameters, stream=False),
    "ollama": lambda parameters: ollama.write_request("m", HI, parameters, {}, stream=False),
}

names = st.sampled_from(
    ["type", "function", "name", "parameters", "json_schema", "schema", "format", "body", "strict", *WRITERS]
)
kinds = st.sampled_from(["function", "foreign", "custom", "json_schema", "json_object", "text", "bedrock"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | kinds,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
objects = st.builds(
    lambda kind, more: {**more, "type": kind} if kind else more,
    st.none() | kinds,
    st.dictionaries(names, values, max_size=4),
)


@pytest.mark.parametrize("target", WRITERS)
@given(st.lists(objects, max_size=2), st.none() | kinds | objects, st.none() | objects)
def test_they_are_written_or_refused(target: str, tools: list[Any], choice: Any, response_format: Any) -> None:
    parameters = Parameters(tools=tuple(tools), tool_choice=choice, response_format=response_format)

    with suppress(RequestRejected):
        orjson.dumps(WRITERS[target](parameters), default=dict)


@pytest.mark.parametrize("target", WRITERS)
@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        (Parameters(tools=({"type": "function"},)), r"tools\.0\.function"),
        (Parameters(tools=({"function": {"name": "f"}}, {"function": "f"})), r"tools\.1\.function"),
        (Parameters(tools=({"type": "foreign"},)), r"tools\.0\.body"),
        (Parameters(response_format={"type": "json_schema", "json_schema": "x"}), r"response_format\.json_schema"),
    ],
)
def test_the_field_is_named(target: str, parameters: Parameters, field: str) -> None:
    with pytest.raises(RequestRejected, match=field):
        WRITERS[target](parameters)


@pytest.mark.parametrize("target", WRITERS)
def test_what_is_for_its_own_format_must_be_an_object(target: str) -> None:
    tool = {"type": "function", "function": {"name": "f"}, target: "x"}

    with pytest.raises(RequestRejected, match=rf"tools\.0\.{target}"):
        WRITERS[target](Parameters(tools=(tool,)))
