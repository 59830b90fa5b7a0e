"""Console blocks as what they are: commands, and what each of them says.

What differs from run to run is compared by its kind: a time is any time, a number of seconds any such number. An id, or
a key, stands for the one that a run has in its place: the same wherever the page has it, in later commands too. So do
places in the log and counts of events and seals, for a budget lends and returns, and seals are made, as time passes: a
number stands for one number, a greater one for a greater one, and what reads is asked until it is the page's own. All
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
from typing import Self, cast

from send2llm.testing.eventually import eventually

_NAMES = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{64}\b"
_ANY, _ID, _POSITION, _EVENTS, _SEALS = "any", "id", "positions", "events", "seals"
_KINDS = {
    # Times
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?": _ANY,
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?": _ANY,
    r"\d{4}-\d\d-\d\d": _ANY,
    r"(?<=month )\d{4}-\d\d\b": _ANY,
    r"\d+\.\d+ ?s\b": _ANY,
    # The log
    r"(?<=position )\d+": _POSITION,
    r"(?<=up to )\d+": _POSITION,
    r"(?<=, at )\d+": _POSITION,
    r"^ *\d+(?= +\d{4}-\d\d-\d\d )": _POSITION,
    r"\d+(?= (?:new )?events?\b(?! in ))": _EVENTS,
    r"(?<=Seal )\d+": _SEALS,
    r"\d+(?= (?:new )?seals?\b)": _SEALS,
    r"\d+(?= +\d+ - \d+ )": _SEALS,
    # Which events came under the same seal
    r"\d+(?= - \d+ )": _ANY,
    r"(?<= - )\d+(?= )": _POSITION,
    r"\d+(?= +\d{4}-\d\d-\d\d )": _ANY,
}
_PIECES = re.compile("|".join(f"({kind})" for kind in (_NAMES, *_KINDS, r"\.\.\.$", r" {2,}| +$")), re.MULTILINE)
_ANY_REST, _SPACES = r"[^\n]*", r"[ ]*"
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
    numbers: dict[str, dict[int, int]] = field(default_factory=dict)
    """Of each kind of number, which ones of the page stand for which."""

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
        """Whether it is what is shown, with the numbers that are to be expected; leaving aside what ids stand for."""
        pattern, places = self._pattern(shown)
        match = re.fullmatch(pattern, _stripped(said))
        return match is not None and all(
            kind in (_ID, _SEALS) or self._expected(kind, int(name)) == int(match[place])
            for place, (kind, name) in enumerate(places, 1)
        )

    def _expected(self, kind: str, number: int) -> int:
        """What a number stands for: what came before it may have been more than on the page, or less."""
        known = self.numbers.get(kind, {})
        nearest = max((one for one in known if one <= number), default=None)
        return number if nearest is None else number + known[nearest] - nearest

    def compare(self, shown: str, said: str, command: str) -> None:
        """Fail unless ``said`` is what ``shown`` stands for; ids and numbers of the page get their meaning."""
        pattern, places = self._pattern(shown)
        match = re.fullmatch(pattern, _stripped(said))
        assert match, f"$ {command}\nThe page shows:\n{shown}\nIt said:\n{_stripped(said)}"
        for place, (kind, name) in enumerate(places, 1):
            if kind == _ID:
                meaning = self.names.setdefault(name, match[place])
            else:
                meaning = str(self.numbers.setdefault(kind, {}).setdefault(int(name), int(match[place])))
            assert meaning == match[place], f"$ {command}\n{name} stands for {meaning}, and here for {match[place]}"
        for kind, known in self.numbers.items():
            found = [known[number] for number in sorted(known)]
            assert found == sorted(set(found)), f"$ {command}\n{kind} stand for others in another order: {known}"

    def _known(self, name: str) -> str:
        assert name in self.names, f"{name} is in a command, and nothing has shown it before"
        return self.names[name]

    def _pattern(self, shown: str) -> tuple[str, list[tuple[str, str]]]:
        """A pattern of what is shown, and the ids and numbers whose meanings its groups are, each with its kind."""
        places: list[tuple[str, str]] = []
        lines = [self._line(line, places) for line in shown.strip("\n").split("\n")]
        pattern = "\n".join(["", *lines, ""])
        return pattern.replace("\n(?#any)\n", r"\n(?:[^\n]*\n)*?"), places

    def _line(self, line: str, places: list[tuple[str, str]]) -> str:
        if line.strip() == "...":
            return "(?#any)"
        pattern, start = "", 0
        for piece in _PIECES.finditer(line.rstrip()):
            pattern += re.escape(line[start : piece.start()]) + self._piece(piece, places)
            start = piece.end()
        return pattern + re.escape(line.rstrip()[start:])

    def _piece(self, piece: "re.Match[str]", places: list[tuple[str, str]]) -> str:
        if piece[0] == "..." or not piece[0].strip():
            return _ANY_REST if piece[0] == "..." else f" {_SPACES}"
        number = cast("int", piece.lastindex)
        if number == 1:
            places.append((_ID, piece[0]))
            return f"({_NAMES})"
        pattern, kind = list(_KINDS.items())[number - 2]
        if kind == _ANY:
            return f"(?:{pattern})"
        places.append((kind, piece[0]))
        return r" *(\d+)"


def _stripped(said: str) -> str:
    """Every line between two ends of lines, without what cannot be seen."""
    lines = [line.rstrip() for line in said.strip("\n").split("\n")]
    return "\n".join(["", *lines, ""])
