"""By what reports are grouped: hours and days as they are in somebody's time zone, else columns."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnCollection, ColumnElement, Date, cast, func

from send2llm.domain.errors import InvalidRequest

TIMES = ("day", "hour")
"""They come first in a report, in their order."""


def refuse_unknown_groups(by: Iterable[object], known: Sequence[str]) -> None:
    """Raise ``InvalidRequest`` for a group that a report does not know."""
    for name in by:
        if name not in known:
            raise InvalidRequest(f"by: {name!r:.100} is no group; known are {', '.join(known)}.", param="by")


def group_of(
    name: str, columns: ColumnCollection[Any, Any], moment: ColumnElement[Any], time_zone: str
) -> ColumnElement[Any]:
    """What rows that belong together have in common; ``moment`` is the column of their time."""
    if name == "day":
        return cast(func.timezone(time_zone, moment), Date)
    if name == "hour":
        return func.date_trunc("hour", moment, time_zone)
    group: ColumnElement[Any] = columns[name]
    return group


def value_of(found: str | date | datetime, zone: tzinfo) -> str | date | datetime:
    """A group's value as it is shown: an hour by its beginning, with the offset that it has there."""
    return found.astimezone(zone) if isinstance(found, datetime) else found
