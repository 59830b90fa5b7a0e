"""Half of a report of usage is none."""

import pytest

from send2llm.domain.completion import Completion, Usage, believed
from send2llm.domain.message import EmbeddingPart, Message, ReasoningPart, TextPart, ToolCallPart
from send2llm.testing.providers import answer


@pytest.mark.parametrize("usage", [Usage(9, 0), Usage(0, 4), Usage(0, 0)])
@pytest.mark.parametrize("said", [TextPart("word"), ToolCallPart("t", "f", "{}"), ReasoningPart("hm")])
def test_an_answer_that_cost_nothing_to_read_or_to_write_is_not_believed(usage: Usage, said: TextPart) -> None:
    given = answer("x", usage=usage).answers[0]
    completion = Completion((type(given)(Message("assistant", (said,)), "stop"),), usage=usage)

    assert believed(completion).usage is None


@pytest.mark.parametrize(
    ("parts", "usage"),
    [
        ((TextPart("word"),), Usage(9, 1)),
        ((), Usage(9, 0)),
        ((TextPart(""),), Usage(9, 0)),
        ((EmbeddingPart("AAAA"),), Usage(9, 0)),
        ((TextPart("word"),), None),
    ],
)
def test_what_can_be_is_believed(parts: tuple[TextPart, ...], usage: Usage | None) -> None:
    given = answer("x").answers[0]
    completion = Completion((type(given)(Message("assistant", parts), "stop"),), usage=usage)

    assert believed(completion) is completion
