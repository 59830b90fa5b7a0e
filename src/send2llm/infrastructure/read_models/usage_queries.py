"""The usage, as PostgreSQL adds it up."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import ColumnElement, FromClause, Select, Text, cast, func, select

from send2llm.application.costs import LARGEST_REPORT, CostFilter
from send2llm.application.usage import USAGE_GROUPS, Durations, UsageGroup, UsageLine, is_a_quarter
from send2llm.domain.budget_period import time_zone as known_zone
from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.projections.bulk import storable_text
from send2llm.infrastructure.projections.views import as_read
from send2llm.infrastructure.read_models import usage_tables
from send2llm.infrastructure.read_models.duration_buckets import quantile
from send2llm.infrastructure.read_models.report_groups import TIMES, group_of, refuse_unknown_groups, value_of
from send2llm.infrastructure.read_models.statements import Tables
from send2llm.infrastructure.read_models.usage_tables import AMOUNTS, COUNTS, LONGEST, TOKENS

quarters = as_read(usage_tables.NAME, usage_tables.VERSION, usage_tables.quarters)
troubles = as_read(usage_tables.NAME, usage_tables.VERSION, usage_tables.troubles)
durations = as_read(usage_tables.NAME, usage_tables.VERSION, usage_tables.durations)

Groups = Sequence[UsageGroup]
Row = Mapping[str, Any]

_KINDS = {"failures": "failure", "interruptions": "interruption", "refusals": "refusal"}
_SHOWN = ("calls", "attempts", "answered", "failed", "interrupted", "refused", "estimated", "unpriced", *TOKENS)


class PostgresUsage:
    """``UsageQueries`` on the tables of the usage."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def usage(self, by: Groups, matching: CostFilter, time_zone: str = "UTC") -> Sequence[UsageLine]:
        refuse_unknown_groups(by, USAGE_GROUPS)
        zone = known_zone(time_zone)
        _must_be_quarters(matching)
        try:
            sums, kinds, lasted = await self._tables.read(
                "the usage",
                _sums(by, matching, time_zone),
                _counted(troubles, ("kind", "error"), by, matching, time_zone),
                _counted(durations, ("measure", "up_to_us"), by, matching, time_zone),
            )
        except psycopg.errors.InvalidParameterValue:  # its time zones may be of another year than Python's
            raise InvalidRequest(f"The database does not know the time zone {time_zone}.", param="time_zone") from None
        if len(sums) > LARGEST_REPORT:
            raise InvalidRequest(
                f"The report has more than {LARGEST_REPORT:,} lines. Narrow the range of time, name a provider, a "
                "model or a tenant, or group by less."
            )
        parts = _by_group(kinds, len(by)), _by_group(lasted, len(by))
        return [
            _line(row, tuple(value_of(value, zone) for value in _of(row, len(by))), len(by), *parts) for row in sums
        ]


def _must_be_quarters(matching: CostFilter) -> None:
    for name, moment in (("begin", matching.begin), ("end", matching.end)):
        if moment is not None and not is_a_quarter(moment):
            raise InvalidRequest(
                f"{name}: Usage is counted by quarters of an hour; give a time at :00, :15, :30 or :45.", param=name
            )


def _sums(by: Groups, matching: CostFilter, time_zone: str) -> Select[Any]:
    groups = _groups(quarters, by, time_zone)
    column = quarters.c
    begun = func.coalesce(func.sum(column.calls), 0).label("calls")
    statement = select(
        *groups,
        begun,
        *(func.coalesce(func.sum(column[name]), 0).label(name) for name in (*COUNTS, *AMOUNTS) if name != "calls"),
        *(func.coalesce(func.max(column[name]), 0).label(name) for name in LONGEST),
    ).group_by(*groups)
    times = [group for group, name in zip(groups, by, strict=True) if name in TIMES]
    return _matching(statement, quarters, matching).order_by(*times, begun.desc(), *groups).limit(LARGEST_REPORT + 1)


def _counted(
    table: FromClause, kinds: tuple[str, str], by: Groups, matching: CostFilter, time_zone: str
) -> Select[Any]:
    """A row for each group and kind, with what there is of it as an object."""
    groups = _groups(table, by, time_zone)
    kind, value = (table.c[name] for name in kinds)
    counted = _matching(
        select(*groups, kind.label("kind"), value.label("value"), func.sum(table.c.times).label("times")).group_by(
            *groups, kind, value
        ),
        table,
        matching,
    ).subquery()
    keys = [counted.c[group.name] for group in groups]
    found = func.json_object_agg(cast(counted.c.value, Text), counted.c.times).label("found")
    return select(*keys, counted.c.kind, found).where(counted.c.times > 0).group_by(*keys, counted.c.kind)


def _groups(table: FromClause, by: Groups, time_zone: str) -> list[Any]:
    return [group_of(name, table.c, table.c.quarter, time_zone).label(f"group_{n}") for n, name in enumerate(by)]


def _matching(statement: Select[Any], table: FromClause, matching: CostFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [
        table.c[name] == storable_text(wanted)
        for name in ("provider", "model", "tenant", "actor")
        if (wanted := getattr(matching, name)) is not None
    ]
    if matching.begin is not None:
        conditions.append(table.c.quarter >= matching.begin)
    if matching.end is not None:
        conditions.append(table.c.quarter < matching.end)
    return statement.where(*conditions)


def _of(row: Row, groups: int) -> tuple[Any, ...]:
    return tuple(row[f"group_{place}"] for place in range(groups))


def _by_group(rows: Sequence[Row], groups: int) -> dict[tuple[Any, ...], Mapping[str, int]]:
    return {(*_of(row, groups), row["kind"]): row["found"] for row in rows}


def _line(
    row: Row,
    group: tuple[Any, ...],
    groups: int,
    kinds: Mapping[tuple[Any, ...], Mapping[str, int]],
    lasted: Mapping[tuple[Any, ...], Mapping[str, int]],
) -> UsageLine:
    key = _of(row, groups)
    counted: dict[str, Any] = {name: int(row[name]) for name in _SHOWN}
    for name, kind in _KINDS.items():
        counted[name] = dict(sorted(kinds.get((*key, kind), {}).items()))
    return UsageLine(
        group=group,
        **counted,
        cost_usd=row["cost_usd"],
        assumed_usd=row["assumed_usd"],
        duration=_durations(row, lasted.get((*key, "duration"), {}), "answered", "duration"),
        time_to_first_token=_durations(row, lasted.get((*key, "first_token"), {}), "streamed", "first_token"),
    )


def _durations(row: Row, counts: Mapping[str, int], count: str, measure: str) -> Durations | None:
    if not row[count]:
        return None
    buckets = {int(bound): times for bound, times in counts.items()}
    longest = row[f"longest_{measure}_us"]
    shares = (quantile(buckets, share, longest) or 0 for share in (0.5, 0.95, 0.99))
    whole = int(row[f"{measure}_us"]) / int(row[count])
    seconds = [round(microseconds / 1_000_000, 6) for microseconds in (whole, *shares, longest)]
    return Durations(int(row[count]), *seconds)
