"""examples/cost_analysis.md: every piece runs, in its order, and gives what the page shows."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from cost_story import PRICES, tell_cost_story
from pages import ROOT, Block, blocks_of
from transcripts import Transcript, steps

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate

PAGE = ROOT / "examples" / "cost_analysis.md"
MARK = "<end of a piece>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("analysis")


@pytest.fixture
def transcript(database: ConnectionInfo, folder: Path) -> Transcript:
    migrate(database)
    tell_cost_story(database)
    return Transcript.at(folder, {"SEND2LLM_DATABASE_URL": database.dsn})


def pieces() -> Iterator[tuple[Block, str]]:
    """The Python of the page, and what each piece is said to print."""
    found = list(blocks_of(PAGE))
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.language == "python":
            yield block, following.text if following is not None and following.language == "text" else ""


def test_every_piece_gives_what_is_shown(transcript: Transcript, folder: Path) -> None:
    consoles = [block for block in blocks_of(PAGE) if block.language == "console"]
    for block in blocks_of(PAGE):
        if block.language == "toml":
            (folder / block.note).write_text(block.text)
    for block in consoles:
        for step in steps(block.text):
            transcript.run(step)
    shown = [text for _, text in pieces()]
    program = f"\nprint({MARK!r})\n".join(block.text for block, _ in pieces())
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(f"{MARK}\n") == shown


def test_the_history_costs_what_its_prices_say() -> None:
    """The page's figures, reckoned without any of Send2LLM's code."""
    haiku, mini = (PRICES[key] for key in (("anthropic", "claude-haiku-4-5"), ("openai", "gpt-5-mini")))
    monday = sum(4000 * haiku[0] + 4000 * hour * haiku[1] + 500 * haiku[2] for hour in range(5)) / 1_000_000
    cached = 4000 * sum(range(5))
    text = PAGE.read_text()
    assert f"2026-11-23  anthropic  claude-haiku-4-5      5  {monday:.6f}" in text
    assert f"{cached}   {cached * (haiku[0] - haiku[1]) / 1_000_000:.6f}" in text
    assert f"{10_000 * (mini[0] - mini[1]) / 1_000_000:.6f}" in text
    retried = Decimal("0.002") + (2000 * haiku[0] + 400 * haiku[2]) / 1_000_000
    assert f"2026-11-25  anthropic  claude-haiku-4-5      1  {retried:.6f}" in text
    assert "anthropic     received      1        1     0.002000     0.000000" in text
