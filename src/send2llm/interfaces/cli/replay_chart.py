"""A report as a picture: SVG, or a page with it, that needs nothing to be looked at."""

from decimal import Decimal
from html import escape

from send2llm.application.replay.report import Line, Report
from send2llm.interfaces.cli.output import usd

MOST_LINES = 40
"""The dearest ones; more would not be read."""

_COLOURS = ("#4477aa", "#ee6677", "#ccbb44")
_LABELS, _BARS, _AMOUNTS, _BAR, _GAP, _TOP = 260, 520, 140, 12, 10, 64


def svg(report: Report) -> str:
    """A bar for each amount that the report compares, line by line."""
    lines = sorted(report.lines, key=lambda line: -max(_amount(line, name) for name in report.chart))[:MOST_LINES]
    lines.sort(key=report.lines.index)
    dearest = max((_amount(line, name) for line in lines for name in report.chart), default=Decimal(0)) or Decimal(1)
    step = _BAR * len(report.chart) + _GAP
    height = _TOP + step * len(lines) + _GAP
    width = _LABELS + _BARS + _AMOUNTS
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(10, 20, report.title, size=15),
    ]
    for place, name in enumerate(report.chart):
        x = _LABELS + place * 150
        parts += [f'<rect x="{x}" y="34" width="10" height="10" fill="{_COLOURS[place]}"/>', _text(x + 15, 43, name)]
    if len(lines) < len(report.lines):
        parts.append(_text(10, 43, f"the dearest {len(lines)} of {len(report.lines)}"))
    for number, line in enumerate(lines):
        top = _TOP + number * step
        parts.append(_text(_LABELS - 8, top + _BAR, _label(report, line), anchor="end"))
        for place, name in enumerate(report.chart):
            amount = _amount(line, name)
            length = float(amount / dearest) * _BARS
            y = top + place * _BAR
            parts.append(
                f'<rect x="{_LABELS}" y="{y}" width="{length:.1f}" height="{_BAR - 2}" fill="{_COLOURS[place]}"/>'
            )
            parts.append(_text(round(_LABELS + length + 5), y + _BAR - 3, usd(round(amount, 6))))
    return "\n".join([*parts, "</svg>", ""])


def html(report: Report) -> str:
    """The picture, and under it what was assumed."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(report.title)}</title>'
        f"<body>{svg(report)}<ul>{notes}</ul></body></html>\n"
    )


def _amount(line: Line, name: str) -> Decimal:
    value = line[name]
    return value if isinstance(value, Decimal) else Decimal(0)


def _label(report: Report, line: Line) -> str:
    label = " · ".join(str(line[name]) for name, kind in report.columns.items() if kind == "text") or "all calls"
    return label if len(label) <= 42 else f"{label[:41]}…"


def _text(x: int, y: int, text: str, *, size: int = 11, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
