"""The mutations of ``mutations.toml``."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGE = Path("src") / "send2llm"


@dataclass(frozen=True, slots=True)
class Edit:
    """``before`` is in a file of the package, once; ``after`` takes its place."""

    file: str
    before: str
    after: str

    def fits(self, source: Path) -> bool:
        return (source / self.file).read_text("utf-8").count(self.before) == 1

    def make(self, source: Path) -> None:
        file = source / self.file
        file.write_text(file.read_text("utf-8").replace(self.before, self.after), "utf-8")


@dataclass(frozen=True, slots=True)
class Mutation:
    """Something that must not be so, and the tests that have to fail when it is: ids of pytest, or whole files."""

    name: str
    edits: Sequence[Edit]
    tests: Sequence[str]


def mutations() -> Sequence[Mutation]:
    told = tomllib.loads(Path(__file__).with_name("mutations.toml").read_text("utf-8"))["mutation"]
    return [Mutation(one["name"], [Edit(**edit) for edit in one["edits"]], one["tests"]) for one in told]
