"""docs/guides: every command runs against a service of the page's own, and says what the page shows."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from guide_service import GuideService, guide_service
from pages import ROOT, Block, blocks_of, name_of
from transcripts import steps

from send2llm.testing.eventually import eventually

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))


@pytest.fixture
def service() -> Iterator[GuideService]:
    with guide_service() as service:
        yield service


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_a_guide_tells_what_happens(page: Path, service: GuideService) -> None:
    found = list(blocks_of(page))
    assert {block.language for block in found} <= {"console", "toml", "python", "sql", "text"}
    for block, following in pairwise([*found, found[-1]]):
        _do(service, block, following)


def _answers(service: GuideService, question: str, expected: str) -> None:
    """A projection follows the calls within moments, not at once."""
    with suppress(AssertionError):
        eventually(lambda: service.query(question) == expected, 20)
    assert service.query(question) == expected


def _do(service: GuideService, block: Block, following: Block) -> None:
    if block.language in ("toml", "python"):
        service.write(block.note, block.text)
    elif block.language == "sql":
        assert following.language == "text"
        _answers(service, block.text, following.text)
    elif block.language == "console":
        for step in steps(block.text):
            if step.command == "send2llm serve":
                service.serve(step)
            else:
                service.transcript.run(step)
