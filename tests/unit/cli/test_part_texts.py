"""How parts of messages are told on the command line."""

import pytest

from send2llm.interfaces.cli.output import message_text


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"type": "text", "text": "Hello!"}, "Hello!"),
        ({"type": "image_url", "image_url": {}}, "[image_url]"),
        ({"type": "foreign", "format": "send2llm", "body": {"type": "erased"}}, "[erased]"),
        ({"type": "foreign", "format": "anthropic", "body": {"type": "thinking"}}, "[thinking]"),
        ({"type": "foreign", "format": "other", "body": {}}, "[foreign]"),
        ({"type": "foreign", "format": "other", "body": "text"}, "[foreign]"),
    ],
)
def test_a_part_without_text_is_told_by_its_kind(part: object, told: str) -> None:
    assert message_text({"content": [part]}) == told
