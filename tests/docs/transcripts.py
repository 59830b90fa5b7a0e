"""Console blocks as what they are: commands, and what each of them says.

What differs from run to run is compared by its kind: a time is any time, a number of seconds any such number. An id, or
a key, stands for the one that a run has in its place: the same wherever the page has it, in later commands too. All
else is compared word by word; a line of ``...`` stands for any lines, and a ``...`` at the end of a line for the rest.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from send2llm.testing.eventually import eventually

_NAMES = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{64}\b"
_KINDS = (
    # Times
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?",
    r"\d{4}-\d\d-\d\d",
    r"(?<=month )\d{4}-\d\d\b",
    r"\d+\.\d+ ?s\b",
    # Places in the log: budgets lend and return as processes get busy and idle
    r"(?<=position )\d+",
    r"(?<=up to )\d+",
    r"(?<=, at )\d+",
    r"(?<=Seal )\d+",
    r"\d+(?= (?:new )?(?:events?|seals?)\b)",
    r"^ *\d+(?= +\d{4}-\d\d-\d\d )",
    r"^ *\d+(?= +\d+ - )",
    r"\d+ - \d+ +\d+",
)
_PIECES = re.compile("|".join(f"({kind})" for kind in (_NAMES, *_KINDS, r"\.\.\.$", r" {2,}| +$")), re.MULTILINE)
_START, _ANY_REST, _SPACES = "^", r"[^\n]*", r"[ ]*"
_READING = re.compile(
    r"send2llm (?:(?:history|audit|costs|usage|budget show|budget explain)\b[^;&|]*|projections(?: (?:list|status)|$))"
)
"""Commands that can be asked again and again."""

PATIENCE = 40.0
"""Seconds until what a page shows has to have come true."""


@dataclass(frozen=True)
class Step:
    """A command, and what it says."""

    command: str
    shown: str


def steps(block: str) -> Iterator[Step]:
    """The commands of a console block, each with its output."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        length = 1
        while lines[length - 1].endswith("\\"):
            length += 1
        yield Step("\n".join(lines[:length]), "\n".join(lines[length:]))


@dataclass
class Transcript:
    """Runs what a page shows, in one folder, and knows what its ids stand for."""

    folder: Path
    environment: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path, environment: Mapping[str, str]) -> Self:
        """In a folder, with nothing of the tests' own environment but the path, which has the command."""
        commands = folder / "bin"
        commands.mkdir()
        command = commands / "send2llm"
        command.write_text(f"#!{sys.executable}\nfrom send2llm.interfaces.cli import main\n\nmain()\n")
        command.chmod(0o755)
        path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
        own = {"PATH": path, "HOME": str(folder), "COLUMNS": "200", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        return cls(folder, {**kept, **own, **environment})

    def run(self, step: Step) -> None:
        """Run the command by a shell; it has to say what the page shows.

        What only reads is asked again for a while: projections, seals and returned allowances are moments behind.
        """
        command = re.sub(_NAMES, lambda name: self._known(name[0]), step.command)
        said = [self._say(command)]

        def true_by_now() -> bool:
            if not self._matches(step.shown, said[-1]):
                said.append(self._say(command))
            return self._matches(step.shown, said[-1])

        if _READING.match(step.command):
            with suppress(AssertionError):  # the comparison tells what is different
                eventually(true_by_now, PATIENCE)
        self.compare(step.shown, said[-1], step.command)

    def _say(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    def _matches(self, shown: str, said: str) -> bool:
        """Whether it is what is shown, leaving aside what ids stand for."""
        return re.fullmatch(self._pattern(shown)[0], _stripped(said)) is not None

    def compare(self, shown: str, said: str, command: str) -> None:
        """Fail unless ``said`` is what ``shown`` stands for; the ids of the page get their meaning."""
        said = _stripped(said)
        pattern, places = self._pattern(shown)
        match = re.fullmatch(pattern, said)
        assert match, f"$ {command}\nThe page shows:\n{shown}\nIt said:\n{said}"
        for place, name in enumerate(places, 1):
            known = self.names.setdefault(name, match[place])
            assert known == match[place], f"$ {command}\n{name} stands for {known}, and here for {match[place]}"

    def _known(self, name: str) -> str:
        assert name in self.names, f"{name} is in a command, and nothing has shown it before"
        return self.names[name]

    def _pattern(self, shown: str) -> tuple[str, list[str]]:
        """A pattern of what is shown, and the names whose meanings its groups are."""
        places: list[str] = []
        lines = [self._line(line, places) for line in shown.strip("\n").split("\n")]
        pattern = "\n".join(["", *lines, ""])
        return pattern.replace("\n(?#any)\n", r"\n(?:[^\n]*\n)*?"), places

    def _line(self, line: str, places: list[str]) -> str:
        if line.strip() == "...":
            return "(?#any)"
        pattern, start = "", 0
        for piece in _PIECES.finditer(line.rstrip()):
            pattern += re.escape(line[start : piece.start()]) + self._piece(piece, places)
            start = piece.end()
        return pattern + re.escape(line.rstrip()[start:])

    def _piece(self, piece: "re.Match[str]", places: list[str]) -> str:
        kinds = (_NAMES, *_KINDS)
        if piece.lastindex == 1:
            places.append(piece[0])
            return f"({_NAMES})"
        if piece.lastindex is not None and piece.lastindex <= len(kinds):
            return f"(?:{kinds[piece.lastindex - 1].removeprefix(_START)})"
        return _ANY_REST if piece[0] == "..." else f" {_SPACES}"


def _stripped(said: str) -> str:
    """Every line between two ends of lines, without what cannot be seen."""
    lines = [line.rstrip() for line in said.strip("\n").split("\n")]
    return "\n".join(["", *lines, ""])
