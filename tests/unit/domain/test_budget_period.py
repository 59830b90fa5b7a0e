"""Periods by the calendar: contiguous, in every time zone, whatever its clocks do."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies as st

from send2llm.domain.budget_period import KEYS, TOTAL, PeriodKind, Recurrence, time_zone
from send2llm.domain.errors import InvalidRequest

# Turns at 02:00, at midnight, over midnight (St. John's, until 2011), by half an hour (Lord Howe), by two (Troll);
# offsets that are no whole hours; a date that was skipped (Apia, 2011-12-30, Kwajalein) or never turned at all.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "America/Nuuk",
)
KINDS = tuple(kind for kind in get_args(PeriodKind) if kind != "total")
MOMENTS = st.integers(200_000 * 10**6, 3_800_000_000 * 10**6).map(
    lambda n: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=n)
)
RECURRENCES = st.builds(Recurrence, st.sampled_from(KINDS), st.sampled_from(ZONES))

BERLIN = ZoneInfo("Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def turns(zone, year):
    """The instants of a year, to the minute, around which clocks are turned."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    return [
        after
        for before, after in pairwise(hours)
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()
    ]


NEAR_TURNS = st.builds(
    lambda turn, minutes: turn + timedelta(minutes=minutes),
    st.sampled_from([turn for name in ZONES for year in (1987, 2011, 2026) for turn in turns(ZoneInfo(name), year)]),
    st.integers(-26 * 60, 26 * 60),
)


def check(recurrence, moment):
    period = recurrence.containing(moment)
    assert moment in period
    assert period.start.tzinfo is UTC
    assert period.end.tzinfo is UTC
    assert recurrence.containing(period.start) == period
    assert recurrence.containing(period.end - timedelta.resolution) == period
    following = recurrence.after(period)
    assert following.start == period.end
    assert following.key > period.key or recurrence.kind == "hour"
    assert following.key != period.key
    assert recurrence.before(following) == period


@given(RECURRENCES, MOMENTS)
@example(Recurrence("day", "Pacific/Apia"), at("2011-12-30T09:00+00:00"))
@example(Recurrence("day", "America/St_Johns"), at("2010-11-07T02:31+00:00"))
def test_each_moment_is_in_one_period_and_periods_follow_each_other(recurrence, moment):
    check(recurrence, moment)


@given(RECURRENCES, NEAR_TURNS)
@settings(max_examples=300)
def test_so_they_do_around_the_turns_of_clocks(recurrence, moment):
    check(recurrence, moment)


@given(RECURRENCES, MOMENTS | NEAR_TURNS, st.integers(-14 * 60, 14 * 60))
def test_the_time_zone_of_the_moment_does_not_matter(recurrence, moment, minutes):
    there = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert recurrence.containing(there) == recurrence.containing(moment)


@given(st.sampled_from(ZONES), MOMENTS | NEAR_TURNS)
def test_a_day_begins_when_clocks_first_show_its_date(zone, moment):
    start = Recurrence("day", zone).containing(moment).start
    before = start - timedelta.resolution
    assert start.astimezone(ZoneInfo(zone)).date() > before.astimezone(ZoneInfo(zone)).date()


@given(st.sampled_from(ZONES), MOMENTS | NEAR_TURNS)
def test_an_hour_is_never_longer_than_an_hour_and_shows_one_hour(zone, moment):
    period = Recurrence("hour", zone).containing(moment)
    assert timedelta() < period.end - period.start <= timedelta(hours=1)
    first, last = (instant.astimezone(ZoneInfo(zone)) for instant in (period.start, period.end - timedelta.resolution))
    assert first.isoformat(timespec="hours") == last.isoformat(timespec="hours") == period.key


@given(st.sampled_from(ZONES), MOMENTS)
def test_a_month_is_made_of_whole_days_and_a_week_of_seven(zone, moment):
    day = Recurrence("day", zone).containing(moment)
    month, week = (Recurrence(kind, zone).containing(moment) for kind in ("month", "week"))
    for longer in (month, week):
        assert longer.start <= day.start < day.end <= longer.end
        assert Recurrence("day", zone).containing(longer.start).start == longer.start
    assert day.key.startswith(month.key)
    year, number = week.key.split("-W")
    assert moment.astimezone(ZoneInfo(zone)).isocalendar()[:2] == (int(year), int(number))


@pytest.mark.parametrize(
    ("kind", "zone", "moment", "key", "start", "end"),
    [
        ("month", "UTC", "2026-11-23T12:00Z", "2026-11", "2026-11-01T00:00Z", "2026-12-01T00:00Z"),
        ("month", "UTC", "2026-12-31T23:59Z", "2026-12", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        ("month", "Europe/Berlin", "2026-10-31T23:00Z", "2026-11", "2026-10-31T23:00Z", "2026-11-30T23:00Z"),
        ("month", "Europe/Berlin", "2026-03-15T12:00Z", "2026-03", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        ("week", "UTC", "2026-11-23T00:00Z", "2026-W48", "2026-11-23T00:00Z", "2026-11-30T00:00Z"),
        ("week", "UTC", "2027-01-01T12:00Z", "2026-W53", "2026-12-28T00:00Z", "2027-01-04T00:00Z"),
        ("day", "UTC", "2026-11-23T23:59:59.999999Z", "2026-11-23", "2026-11-23T00:00Z", "2026-11-24T00:00Z"),
        ("hour", "Europe/Berlin", "2026-11-23T13:30Z", "2026-11-23T14+01:00", "2026-11-23T13:00Z", "2026-11-23T14:00Z"),
        (
            "hour",
            "Asia/Kathmandu",
            "2026-11-23T13:30Z",
            "2026-11-23T19+05:45",
            "2026-11-23T13:15Z",
            "2026-11-23T14:15Z",
        ),
        # 23 hours in spring, 25 in autumn, where 02:00 is lived twice.
        ("day", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("day", "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-25", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("hour", "Europe/Berlin", "2026-10-25T00:30Z", "2026-10-25T02+02:00", "2026-10-25T00:00Z", "2026-10-25T01:00Z"),
        ("hour", "Europe/Berlin", "2026-10-25T01:30Z", "2026-10-25T02+01:00", "2026-10-25T01:00Z", "2026-10-25T02:00Z"),
        # Midnight is skipped, and midnight is lived twice.
        ("day", "Africa/Cairo", "2026-04-24T12:00Z", "2026-04-24", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),
        # From 23:30 straight to 00:30: the day begins there.
        ("day", "America/Toronto", "1919-03-31T12:00Z", "1919-03-31", "1919-03-31T04:30Z", "1919-04-01T04:00Z"),
        ("day", "America/Havana", "2026-11-01T12:00Z", "2026-11-01", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        # At 00:01 clocks go back to 23:01 of the day before, which has ended all the same.
        ("day", "America/St_Johns", "2010-11-07T03:00Z", "2010-11-07", "2010-11-07T02:30Z", "2010-11-08T03:30Z"),
        # Clocks turned by half an hour leave a short hour behind.
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-04-04T15:10Z",
            "2026-04-05T01+10:30",
            "2026-04-04T15:00Z",
            "2026-04-04T15:30Z",
        ),
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-10-03T15:40Z",
            "2026-10-04T02+11:00",
            "2026-10-03T15:30Z",
            "2026-10-03T16:00Z",
        ),
        # The 30th was skipped: from the 29th straight into the 31st.
        ("day", "Pacific/Apia", "2011-12-30T09:59Z", "2011-12-29", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),
        ("day", "Pacific/Apia", "2011-12-30T10:00Z", "2011-12-31", "2011-12-30T10:00Z", "2011-12-31T10:00Z"),
    ],
)
def test_a_calendar_on_the_wall(kind, zone, moment, key, start, end):
    period = Recurrence(kind, zone).containing(at(moment))
    assert (period.key, period.start, period.end) == (key, at(start), at(end))


def test_a_year_of_hours_has_no_two_of_the_same_name():
    keys = set()
    recurrence = Recurrence("hour", "Australia/Lord_Howe")
    period = recurrence.containing(at("2026-01-01T00:00Z"))
    count = 0
    while period.start < at("2026-05-01T00:00Z"):
        keys.add(period.key)
        count += 1
        period = recurrence.after(period)
    assert len(keys) == count


class TestTotal:
    def test_is_all_of_time(self):
        total = Recurrence("total").containing(at("2026-11-23T12:00Z"))
        assert total == TOTAL
        assert at("1970-01-01T00:00Z") in total
        assert at("2999-01-01T00:00Z") in total

    def test_has_no_neighbours(self):
        with pytest.raises(ValueError, match="never ends"):
            Recurrence("total").after(TOTAL)
        with pytest.raises(ValueError, match="never began"):
            Recurrence("total").before(TOTAL)


def test_a_period_is_half_open():
    day = Recurrence("day").containing(at("2026-11-23T12:00Z"))
    assert day.start in day
    assert day.end not in day
    assert day.start - timedelta.resolution not in day


def test_a_moment_needs_a_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        Recurrence("day").containing(at("2026-11-23T12:00Z").replace(tzinfo=None))


@given(RECURRENCES, st.one_of(MOMENTS, NEAR_TURNS))
def test_a_period_is_found_by_its_key(recurrence, moment):
    period = recurrence.containing(moment)
    assert recurrence.named(period.key) == period
    assert recurrence.named(period.key.replace("+", " ")) == period


@pytest.mark.parametrize("kind", get_args(PeriodKind))
@pytest.mark.parametrize(
    "key", ["", "foo", "\0", "2026-00", "2026-11-31", "2026-W54", "20261123", "0001-01-01", "9999-12"]
)
def test_what_is_no_key_is_told_how_one_looks(kind, key):
    with pytest.raises(InvalidRequest, match="looks like") as refusal:
        Recurrence(kind, "Europe/Berlin").named(key)
    assert KEYS[kind] in str(refusal.value)
    assert Recurrence(kind, "Europe/Berlin").named(KEYS[kind]).key == KEYS[kind]


def test_a_date_that_was_skipped_is_no_period():
    with pytest.raises(InvalidRequest):
        Recurrence("day", "Pacific/Apia").named("2011-12-30")


@pytest.mark.parametrize("name", ["posixrules", "localtime", "Factory", "right/UTC", "posix/UTC", "America", ""])
def test_a_file_beside_the_time_zones_is_none(name):
    with pytest.raises(InvalidRequest, match="no time zone"):
        time_zone(name)


def test_a_time_zone_that_this_machine_does_not_know():
    with pytest.raises(InvalidRequest, match="no time zone 'Mars/Olympus'"):
        Recurrence("day", "Mars/Olympus").containing(at("2026-11-23T12:00Z"))
