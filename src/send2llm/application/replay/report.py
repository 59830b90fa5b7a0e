"""What a replay found: lines with named values, and what was assumed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Literal

Value = str | int | Decimal | datetime | None
Line = Mapping[str, Value]
Kind = Literal["text", "count", "usd", "time"]

EXACT = Context(prec=60)
"""In which sums of money are made: the usual one would round them to 28 digits."""


@dataclass(frozen=True, slots=True)
class Report:
    """``columns`` are those of the lines with their kinds; ``chart`` those that a chart compares.

    ``notes`` say what was assumed, and what is not in the figures.
    """

    title: str
    columns: Mapping[str, Kind]
    lines: Sequence[Line]
    total: Line
    chart: Sequence[str]
    notes: Sequence[str] = field(default_factory=tuple)


def summed(
    title: str,
    by: Sequence[str],
    columns: Mapping[str, Kind],
    sums: Mapping[tuple[str, ...], Sequence[int | Decimal]],
    chart: Sequence[str],
    notes: Sequence[str],
    order: Callable[[Line], object] | None = None,
) -> Report:
    """A report of sums by group: one value for each of ``columns``, in their order."""
    lines: list[Line] = [
        {**dict(zip(by, key, strict=True)), **dict(zip(columns, values, strict=True))} for key, values in sums.items()
    ]
    lines.sort(key=order or (lambda line: tuple(str(line[name]) for name in by)))  # type: ignore[arg-type] # orders give what can be compared
    total: dict[str, Value] = {}
    for place, (name, kind) in enumerate(columns.items()):
        value: int | Decimal = Decimal(0) if kind == "usd" else 0
        for values in sums.values():
            value = EXACT.add(Decimal(value), Decimal(values[place])) if kind == "usd" else value + values[place]
        total[name] = value
    kinds: dict[str, Kind] = {**dict.fromkeys(by, "text"), **columns}
    return Report(title, kinds, lines, total, chart, notes)
