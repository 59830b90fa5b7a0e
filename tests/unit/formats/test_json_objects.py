"""JSON objects in texts."""

import json

import orjson
import pytest
from hypothesis import given
from spoken import arguments

from send2llm.infrastructure.formats.json_objects import json_object


@given(arguments)
def test_an_object_is_what_it_was(given: dict[str, object]) -> None:
    read = json_object(json.dumps(given))

    assert read == given
    assert orjson.loads(orjson.dumps(read)) == given


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "null",
        "[1]",
        '"text"',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 123456789012345678901234567890}',
        '{"a": "\\ud800"}',
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 1}}',
        '{"a": ' + "[" * 300 + "]" * 300 + "}",
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_what_is_none_or_would_be_another_afterwards(text: str) -> None:
    assert json_object(text) is None
