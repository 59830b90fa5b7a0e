"""What commands print: tables for people, JSON for programs.

Results go to standard output, everything else (notes, progress, errors) to standard error, so that results
can be piped. Colours appear on terminals only.
"""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or a pipe, where nothing tells how wide the reader is."""

GAP = 2
"""Spaces between the columns of a table."""

LEAST_FLEXIBLE = 20
"""Columns on the screen that the text of a table gets at least."""

# What models and people wrote may hold escape sequences, which could rewrite the screen or the clipboard.
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """The text without the control characters that a terminal would obey."""
    return text.translate(_CONTROLS)


def write(text: str) -> None:
    """Print a piece of an answer at once: as it is into a pipe, made harmless on a terminal."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def write_json(document: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def write_json_line(document: Any) -> None:
    """Print one line of JSON lines, at once."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def console(stream: TextIO | None = None) -> "Console":
    """A rich console on ``stream`` (standard output if None) that takes text literally."""
    from rich.console import Console

    stream = stream or sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something beside the result: a dim line on standard error."""
    console(sys.stderr).print(printable(text), style="dim")


def warn(text: str) -> None:
    """Say that something is not as it should be, on standard error."""
    console(sys.stderr).print(printable(text), style="yellow")


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    flexible: str,
    right: Collection[str] = (),
    dispensable: Iterable[str] = (),
) -> None:
    """Print a table, each row on one line.

    On a narrow terminal the ``flexible`` column is cut, then the ``dispensable`` ones are left out in their order;
    the others are always shown whole. The columns ``right`` hold numbers.
    """
    from rich.cells import cell_len
    from rich.table import Table

    lines = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = {
        column: max(map(cell_len, [column, *(line[place] for line in lines)])) for place, column in enumerate(columns)
    }
    output = console()
    room = output.width + GAP - sum(widths.values()) - GAP * len(widths)
    for column in dispensable:
        if widths[flexible] + room >= LEAST_FLEXIBLE:
            break
        room += widths.pop(column) + GAP
    widths[flexible] = max(min(widths[flexible], LEAST_FLEXIBLE), widths[flexible] + min(room, 0))
    output.width = max(output.width, sum(widths.values()) + GAP * len(widths))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, width in widths.items():
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, no_wrap=True, overflow="ellipsis", width=width, justify=justify)
    for line in lines:
        table.add_row(*(cell for column, cell in zip(columns, line, strict=True) if column in widths))
    output.print(table, soft_wrap=False)


def show_messages(messages: Iterable[tuple[str, str]]) -> None:
    """Print a conversation: who speaks, then what is said, wrapped at the terminal's edge."""
    output = console()
    for role, text in messages:
        output.print(role, style="bold cyan" if role == "assistant" else "bold")
        output.print(printable(text), soft_wrap=not output.is_terminal)
        output.print()


def write_columns(*cells: tuple[str, str]) -> None:
    """Print a line of (text, style) cells at once; a terminal cuts it at its edge, a pipe gets all of it."""
    from rich.text import Text

    output = console()
    line = Text(" ").join(Text(printable(text).replace("\n", " "), style=style) for text, style in cells)
    if output.is_terminal:
        output.print(line, soft_wrap=False, no_wrap=True, overflow="ellipsis")
    else:
        output.print(line)
    sys.stdout.flush()


def usd(amount: str | Decimal | None) -> str:
    """An amount as people read it; a dash for a price that nobody knows."""
    return "-" if amount is None else f"${Decimal(amount).normalize():f}"


def count(number: int | None) -> str:
    """A whole number with its thousands apart."""
    return "-" if number is None else f"{number:,}"


def local_time(moment: str | None) -> str:
    """An RFC 3339 moment in the reader's own time zone."""
    if not moment:
        return "-"
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def message_text(message: dict[str, Any]) -> str:
    """What a message says, in OpenAI's shape: text, parts, a refusal, tool calls."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part_text(part) for part in content)
    said = [content or message.get("refusal") or ""]
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        said.append(f"[calls {function.get('name')}({function.get('arguments')})]")
    return "\n".join(filter(None, said))


def _part_text(part: dict[str, Any]) -> str:
    kind = part.get("type", "part")
    if kind == "foreign" and isinstance(part.get("body"), dict):  # nothing that all formats have, or nothing any more
        kind = part["body"].get("type", kind)
    return str(part.get("text") or part.get("refusal") or f"[{kind}]")
