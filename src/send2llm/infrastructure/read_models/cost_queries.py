"""Costs, and the use of budgets, as PostgreSQL adds them up."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import ColumnCollection, ColumnElement, Select, and_, case, exists, func, not_, select, true, tuple_

from send2llm.application.budgets.queries import PeriodUse
from send2llm.application.costs import GROUPS, LARGEST_REPORT, CostFilter, CostLine, Group
from send2llm.domain.budget_period import time_zone as known_zone
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.money import ZERO
from send2llm.infrastructure.projections.bulk import storable_text
from send2llm.infrastructure.projections.views import as_read
from send2llm.infrastructure.read_models import cost_ledger_tables
from send2llm.infrastructure.read_models.report_groups import TIMES, group_of, refuse_unknown_groups, value_of
from send2llm.infrastructure.read_models.statements import Tables

attempts = as_read(cost_ledger_tables.NAME, cost_ledger_tables.VERSION, cost_ledger_tables.attempts)
uses = as_read(cost_ledger_tables.NAME, cost_ledger_tables.VERSION, cost_ledger_tables.uses)

_A = attempts.c
_SUMMED = ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens")


class PostgresCosts:
    """``CostQueries`` and ``PeriodUses`` on the tables of the cost ledger."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def costs(self, by: Sequence[Group], matching: CostFilter, time_zone: str = "UTC") -> Sequence[CostLine]:
        refuse_unknown_groups(by, GROUPS)
        zone = known_zone(time_zone)
        groups = [
            group_of(name, _A, _A.requested_at, time_zone).label(f"group_{place}") for place, name in enumerate(by)
        ]
        cost = func.coalesce(func.sum(_A.cost_usd), 0).label("cost_usd")
        statement: Select[Any] = select(
            *groups,
            _calls(by, matching, time_zone).label("calls"),
            func.count().label("attempts"),
            *(func.coalesce(func.sum(_A[name]), 0).label(name) for name in _SUMMED),
            cost,
            func.coalesce(func.sum(_A.cost_usd).filter(_A.assumed.is_not(None)), 0).label("assumed_usd"),
            func.count().filter(_is_unpriced()).label("unpriced"),
        ).group_by(*groups)
        times = [group for group, name in zip(groups, by, strict=True) if name in TIMES]
        statement = statement.where(*_conditions(_A, matching))
        statement = statement.order_by(*times, cost.desc(), *groups).limit(LARGEST_REPORT + 1)
        try:
            (found,) = await self._tables.read("the costs", statement)
        except psycopg.errors.InvalidParameterValue:  # its time zones may be of another year than Python's
            raise InvalidRequest(f"The database does not know the time zone {time_zone}.", param="time_zone") from None
        if len(found) > LARGEST_REPORT:
            raise InvalidRequest(
                f"The report has more than {LARGEST_REPORT:,} lines. Narrow the range of time, name a provider, a "
                "model or a tenant, or group by less."
            )
        return [_line(row, len(by), zone) for row in found]

    async def uses_of_attempts(self, periods: Sequence[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], PeriodUse]:
        """How periods are used, added up from the attempts: dearer than ``period_use``, and right of the past too."""
        paid = func.json_array_elements(_A.paid_by).table_valued("value").lateral("paid")
        budget_id, period_key = (func.json_extract_path_text(paid.c.value, place) for place in ("0", "1"))
        wanted = [(str(budget), key) for budget, key in periods]
        runs = _A.ended_at.is_(None)
        statement: Select[Any] = (
            select(
                budget_id.label("budget_id"),
                period_key.label("period_key"),
                func.sum(_A.hold_usd).filter(runs).label("held"),
                func.sum(_A.cost_usd).filter(not_(runs)).label("spent"),
            )
            .select_from(attempts.join(paid, true()))
            .where(tuple_(budget_id, period_key).in_(wanted))
            .group_by(budget_id, period_key)
        )
        (found,) = await self._tables.read("the costs", statement)
        return {
            (UUID(row["budget_id"]), row["period_key"]): PeriodUse(row["held"] or ZERO, row["spent"] or ZERO)
            for row in found
        }

    async def period_use(self, budget_id: UUID, period_key: str, since: datetime) -> PeriodUse:
        statement: Select[Any] = select(
            func.sum(uses.c.held_usd).label("held"),
            func.sum(uses.c.spent_usd).label("spent"),
            func.sum(uses.c.spent_usd).filter(uses.c.minute >= since).label("lately"),
        ).where(uses.c.budget_id == budget_id, uses.c.period_key == period_key)
        ((row,),) = await self._tables.read("the costs", statement)
        return PeriodUse(row["held"] or ZERO, row["spent"] or ZERO, row["lately"] or ZERO)


def _is_unpriced() -> ColumnElement[bool]:
    """It was answered, or answered in part, and nobody knows the price."""
    answered = case((_A.status == "received", True), else_=_A.input_tokens.is_not(None))
    return and_(_A.cost_usd.is_(None), _A.ended_at.is_not(None), answered)


def _calls(by: Sequence[Group], matching: CostFilter, time_zone: str) -> ColumnElement[int]:
    """How many calls the attempts of a group belong to: those that have no earlier attempt of their call beside them.

    To count different ids would sort all attempts, which takes fifteen times as long as the sums do; second attempts
    are few.
    """
    earlier = attempts.alias("earlier")
    again = exists().where(
        earlier.c.completion_id == _A.completion_id,
        earlier.c.attempt < _A.attempt,
        *(
            group_of(name, earlier.c, earlier.c.requested_at, time_zone)
            == group_of(name, _A, _A.requested_at, time_zone)
            for name in by
        ),
        *_conditions(earlier.c, matching),
    )
    return func.count() - func.count().filter(case((_A.attempt > 1, again), else_=False))


def _conditions(columns: ColumnCollection[str, Any], matching: CostFilter) -> list[ColumnElement[bool]]:
    found = [
        columns[name] == storable_text(wanted)
        for name in ("provider", "model", "tenant", "actor")
        if (wanted := getattr(matching, name)) is not None
    ]
    if matching.begin is not None:
        found.append(columns.requested_at >= matching.begin)
    if matching.end is not None:
        found.append(columns.requested_at < matching.end)
    return found


def _line(row: dict[str, Any], groups: int, zone: tzinfo) -> CostLine:
    tokens = {name: int(row[name]) for name in _SUMMED}
    return CostLine(
        group=tuple(value_of(row[f"group_{place}"], zone) for place in range(groups)),
        calls=row["calls"],
        attempts=row["attempts"],
        cost_usd=row["cost_usd"],
        assumed_usd=row["assumed_usd"],
        unpriced=row["unpriced"],
        **tokens,
    )
