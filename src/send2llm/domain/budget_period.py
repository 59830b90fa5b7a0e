"""The periods of a budget: hours, days, weeks and months as a calendar on the wall shows them, or all of time.

A day, a week or a month begins at the first instant at which clocks in its time zone show its first date, or
a later one. So periods follow each other without a gap or an overlap whatever clocks do: a day may have 23 or
25 hours, may begin at 01:00 where midnight is skipped, and a date that a country skips is no period at all.

An hour is a stretch of time in which clocks show the same hour *and* the same offset from UTC: the hour that
is lived twice in autumn is two periods, and where clocks are turned by half an hour, an hour may be that short.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from send2llm.domain.errors import InvalidRequest

PeriodKind = Literal["hour", "day", "week", "month", "total"]

KEYS: dict[PeriodKind, str] = {
    "hour": "2026-11-23T14+01:00",
    "day": "2026-11-23",
    "week": "2026-W47",
    "month": "2026-11",
    "total": "total",
}
"""How the key of a period looks."""

NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Files among the time zones that are none: others on every machine, or a placeholder."""

_SECOND = timedelta(seconds=1)
_INSTANT = timedelta.resolution


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time from ``start`` up to, not including, ``end``, both in UTC; ``None`` where it has no bound.

    ``key`` is its name among the periods of one budget, the same for ever: ``2026-11``, ``2026-W47``,
    ``2026-11-23``, ``2026-11-23T14+01:00`` or ``total``.
    """

    key: str
    start: datetime | None
    end: datetime | None

    def __contains__(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


TOTAL = Period("total", None, None)
"""The one period of a budget that never begins anew."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How periods follow each other: their ``kind``, and the IANA ``time_zone`` whose calendar counts.

    Raises ``InvalidRequest`` when periods are asked for in a time zone that is not known here, and
    ``ValueError`` for moments without a time zone.
    """

    kind: PeriodKind
    time_zone: str = "UTC"

    def containing(self, moment: datetime) -> Period:
        """The period that ``moment`` belongs to."""
        if moment.tzinfo is None:
            raise ValueError("A moment needs a time zone; use datetime.now(UTC).")
        if self.kind == "total":
            return TOTAL
        zone = _zone(self.time_zone)
        if self.kind == "hour":
            return _hour(moment.astimezone(UTC), zone)
        return self._dates(moment.astimezone(UTC), zone)

    def named(self, key: str) -> Period:
        """The period of that key; raises ``InvalidRequest`` for what is no key of these periods.

        A blank is taken for a plus sign, as which it is read in the query of a URL.
        """
        wanted = key.replace(" ", "+")
        try:
            for period in self._candidates(wanted):
                if period.key == wanted:
                    return period
        except (ValueError, OverflowError):  # no date, or one at the end of time
            pass
        raise InvalidRequest(
            f"{key[:40]!r} is no {self.kind} in {self.time_zone}; the key of one looks like {KEYS[self.kind]}.",
            param="period",
        )

    def after(self, period: Period) -> Period:
        """The period that begins when ``period`` ends; ``ValueError`` when it never does."""
        if period.end is None:
            raise ValueError(f"Nothing comes after the period {period.key!r}: it never ends.")
        return self.containing(period.end)

    def before(self, period: Period) -> Period:
        """The period that ends when ``period`` begins; ``ValueError`` when it never did."""
        if period.start is None:
            raise ValueError(f"Nothing came before the period {period.key!r}: it never began.")
        return self.containing(period.start - _INSTANT)

    def _candidates(self, key: str) -> Iterator[Period]:
        """The periods that may have that key; ``ValueError`` when none can."""
        match self.kind:
            case "total":
                yield TOTAL
            case "hour":
                hour = datetime.fromisoformat(key)
                # Where clocks are turned by half an hour, only a part of the hour has this offset.
                yield from (self.containing(hour + timedelta(minutes=minutes)) for minutes in (0, 15, 30, 45, 59))
            case kind:
                first = date.fromisoformat(f"{key}-01" if kind == "month" else key)
                yield self.containing(_first_instant(first, _zone(self.time_zone)))

    def _dates(self, moment: datetime, zone: ZoneInfo) -> Period:
        first = self._first_date(moment.astimezone(zone).date())
        while (end := _first_instant(following := self._following(first), zone)) <= moment:
            # Clocks were turned back over midnight: they show the old date again, but the new one has begun.
            first = following
        return Period(self._key(first), _first_instant(first, zone), end)

    def _first_date(self, day: date) -> date:
        match self.kind:
            case "week":
                return day - timedelta(days=day.weekday())
            case "month":
                return day.replace(day=1)
        return day

    def _following(self, first: date) -> date:
        match self.kind:
            case "week":
                return first + timedelta(weeks=1)
            case "month":
                return (first + timedelta(days=31)).replace(day=1)
        return first + timedelta(days=1)

    def _key(self, first: date) -> str:
        match self.kind:
            case "week":
                year, week, _ = first.isocalendar()
                return f"{year:04}-W{week:02}"
            case "month":
                return first.isoformat()[:7]
        return first.isoformat()


def time_zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name; raises ``InvalidRequest`` when there is none."""
    if name not in _names():
        raise _unknown_zone(name)
    return _zone(name)


@cache
def _names() -> frozenset[str]:
    """Python also opens files that are beside the time zones, and that databases do not know."""
    return frozenset(available_timezones()) - NO_ZONES


def _zone(name: str) -> ZoneInfo:
    """The time zone of a budget that was set up: what was taken once goes on, whatever the rules are today."""
    try:
        return ZoneInfo(name)
    # ValueError: no name at all (``../etc``). OSError: a folder (``America``).
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _unknown_zone(name) from None


def _unknown_zone(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"There is no time zone {name[:100]!r}; use an IANA name such as Europe/Berlin or UTC.", param="time_zone"
    )


def _first_instant(day: date, zone: ZoneInfo) -> datetime:
    """When clocks show ``day`` or a later date for the first time."""
    midnight = datetime.combine(day, time.min)
    first = midnight.replace(tzinfo=zone).astimezone(UTC)
    second = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first <= second:
        return first
    # Midnight is skipped: as PEP 495 has it, the two readings then lie on both sides of the turn, the wrong way round.
    return _turn(second, first, lambda instant: instant.astimezone(zone).replace(tzinfo=None) >= midnight)


def _hour(moment: datetime, zone: ZoneInfo) -> Period:
    local = moment.astimezone(zone)
    offset = local.utcoffset()
    full = moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start = _turn(full, moment, lambda instant: instant.astimezone(zone).utcoffset() == offset)
    end = _turn(
        moment.replace(microsecond=0),
        full + timedelta(hours=1),
        lambda instant: instant.astimezone(zone).utcoffset() != offset,
    )
    return Period(local.isoformat(timespec="hours"), start, end)


def _turn(low: datetime, high: datetime, reached: Callable[[datetime], bool]) -> datetime:
    """First second from ``low`` on at which ``reached`` holds, else ``high``: clocks turn on whole seconds."""
    seconds = (high - low) // _SECOND
    return low + bisect_left(range(seconds), True, key=lambda second: reached(low + second * _SECOND)) * _SECOND
