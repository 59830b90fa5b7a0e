"""What ``send2llm replay`` prints and writes."""

import csv
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

from send2llm.application.replay.report import Kind, Report, Value
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.output import count, local_time, note, show_table, usd, write_json
from send2llm.interfaces.cli.replay_chart import html, svg


def check_output(path: Path) -> None:
    """Better now than after a minute of work: raise ``CommandFailed`` for a file that cannot be written."""
    if path.suffix not in _WRITERS:
        raise CommandFailed(f"--output: {path} has to end with one of {', '.join(_WRITERS)}.")
    if not path.parent.is_dir():
        raise CommandFailed(f"--output: there is no folder {path.parent}; make it, or name another.")


def show(report: Report, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        write_json(document(report))
        return
    lines = [*report.lines, {**report.total}] if report.lines or report.total.get("calls") else []
    if not lines:
        note("No call matches.")
        return
    right = [name for name, kind in report.columns.items() if kind in ("count", "usd")]
    texts = [name for name in report.columns if name not in right]
    rows = [[_shown(line.get(name), kind) for name, kind in report.columns.items()] for line in lines]
    if texts:
        rows[-1][0] = "all"
    else:
        rows = rows[:1]
    show_table(tuple(report.columns), rows, flexible=texts[-1] if texts else right[0], right=right)
    for one in report.notes:
        note(one)


def write_report(report: Report, path: Path) -> None:
    """Write it in the format that the name of the file says."""
    try:
        _WRITERS[path.suffix](report, path)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}; name another file.") from None


def document(report: Report) -> dict[str, Any]:
    """As JSON: amounts are decimal text, times RFC 3339."""
    return {
        "title": report.title,
        "notes": list(report.notes),
        "total": {name: _plain(value) for name, value in report.total.items()},
        "data": [{name: _plain(line[name]) for name in report.columns} for line in report.lines],
    }


def _plain(value: Value) -> str | int | None:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else value


def _shown(value: Value, kind: Kind) -> str:
    if isinstance(value, datetime):
        return local_time(value.isoformat())
    if kind == "usd" and isinstance(value, Decimal):
        return usd(value)
    if kind == "count" and isinstance(value, int):
        return count(value)
    return "" if value is None else str(value)


def _write_csv(report: Report, path: Path) -> None:
    text = StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(report.columns)
    lines.writerows([_plain(line[name]) for name in report.columns] for line in report.lines)
    path.write_text(text.getvalue(), "utf-8")


def _write_parquet(report: Report, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from send2llm.infrastructure.analysis import schemas

    kinds = {"text": pa.string(), "count": pa.int64(), "usd": schemas.USD, "time": schemas.MOMENT}
    columns = {
        name: pa.array([line[name] for line in report.lines], kinds[kind]) for name, kind in report.columns.items()
    }
    pq.write_table(pa.table(columns), path)


_WRITERS: Mapping[str, Callable[[Report, Path], None]] = MappingProxyType(
    {
        ".csv": _write_csv,
        ".json": lambda report, path: _write_text(path, json.dumps(document(report), ensure_ascii=False, indent=2)),
        ".parquet": _write_parquet,
        ".svg": lambda report, path: _write_text(path, svg(report)),
        ".html": lambda report, path: _write_text(path, html(report)),
    }
)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
