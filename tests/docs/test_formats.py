"""What becomes of each field of a request is told as the code has it."""

import pytest
from format_tables import CAPABLE, EVERYWHERE, WAYS_IN, capability_table, known_fields, table
from pages import ROOT, section

from send2llm.infrastructure.providers.installed import family_names

HEADINGS = {
    "openai": "OpenAI's chat completions",
    "anthropic": "Anthropic's messages",
    "responses": "OpenAI's responses",
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_field_that_the_code_knows_has_an_example(way: str) -> None:
    assert known_fields(way) - WAYS_IN[way][1].keys() <= EVERYWHERE


@pytest.mark.parametrize("way", WAYS_IN)
def test_the_page_tells_what_becomes_of_each_field(way: str) -> None:
    told = section(ROOT / "docs" / "formats.md", HEADINGS[way])
    assert table(way) in told, f"write this table into docs/formats.md:\n{table(way)}"


def test_the_page_tells_what_each_format_can_carry() -> None:
    assert set(CAPABLE) == set(family_names())
    told = section(ROOT / "docs" / "formats.md", "What providers can do")
    assert capability_table() in told, f"write this table into docs/formats.md:\n{capability_table()}"
