"""What a benchmark found: printed for people, and written for ``all.py`` when it asks for it."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

Row = Mapping[str, object]
"""Names with units (``p99_ms``) and values."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--figures", type=Path, metavar="FILE", help="write the figures there, as JSON")
    return options


def tell(title: str, rows: Sequence[Row], file: Path | None) -> None:
    """Print rows as a table, and add them to the file under their title."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(names):
        table.add_column(name.replace("_", " "), justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        table.add_row(*(shown(row.get(name)) for name in names))
    Console(width=150, highlight=False).print(table)
    if file is not None:
        told: dict[str, Any] = orjson.loads(file.read_bytes()) if file.exists() else {}
        file.write_bytes(orjson.dumps({**told, title: list(rows)}, option=orjson.OPT_INDENT_2))


def shown(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
