"""The documentation as tests look at it: its pages, their fenced blocks, tables and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "examples" / "README.md",
    ROOT / "examples" / "handler_package" / "README.md",
    ROOT / "examples" / "projection_package" / "README.md",
    ROOT / "examples" / "cost_analysis.md",
    ROOT / "docker" / "README.md",
]
RUN_AS_A_WHOLE = [*sorted((ROOT / "docs" / "guides").glob("*.md")), ROOT / "examples" / "cost_analysis.md"]
"""Pages of which each piece goes on where the one before it ended: their own tests run them."""

_FENCE = re.compile(r"^```(?P<language>\w*) ?(?P<note>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_RUN_BY = "run-by "
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; ``note`` is what stands behind the language."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"

    @property
    def run_by(self) -> Path | None:
        """The tests that run it, where others than those of the pages do."""
        return ROOT / self.note.removeprefix(_RUN_BY) if self.note.startswith(_RUN_BY) else None


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> Iterator[Block]:
    """The blocks of all pages in these languages, but for those of pages that are run as a whole."""
    for page in PAGES:
        if page not in RUN_AS_A_WHOLE:
            yield from (block for block in blocks_of(page) if block.language in languages)


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page, in all languages."""
    text = page.read_text("utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, match["language"], match["note"], match["text"])


def links(page: Path) -> list[str]:
    """Where its links lead, but for the web."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return [match["target"] for match in _LINK.finditer(text) if "://" not in match["target"]]


def anchors(page: Path) -> set[str]:
    """The names by which its headings can be linked to, as GitHub makes them."""
    headings = [match["text"].lower() for match in _HEADING.finditer(_FENCE.sub("", page.read_text("utf-8")))]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """The text under a heading, up to the next one of the same or a higher level."""
    text = page.read_text("utf-8")
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"{name_of(page)} has no section {heading!r}"
    end = re.search(rf"^#{{1,{len(start[1])}}} ", text[start.end() :], re.MULTILINE)
    return text[start.end() :][: end.start()] if end else text[start.end() :]


def rows(text: str) -> list[list[str]]:
    """The cells of all lines of tables, but for the lines under headings."""
    lines = [line.strip() for line in text.splitlines() if line.lstrip().startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]
    return [row for row in cells if not all(set(cell) <= set("-:| ") for cell in row)]


def named(cell: str) -> list[str]:
    """What stands in backquotes in a cell."""
    return re.findall(r"`([^`]+)`", cell)
