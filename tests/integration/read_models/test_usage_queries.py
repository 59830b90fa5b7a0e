"""Usage as PostgreSQL adds it up: by whatever one asks, in whatever time, on whosever clock."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Engine, create_engine

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.application.costs import CostFilter
from send2llm.application.usage import Durations
from send2llm.domain.conversation_events import CompletionInterrupted
from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.statements import PresentTables
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.read_models.usage_queries import PostgresUsage
from send2llm.testing.event_writer import received, requested

LATE = datetime(2026, 11, 23, 23, 40, tzinfo=UTC)
EVERYTHING = CostFilter()


class Counted:
    """The usage, and how it comes about."""

    def __init__(self, engine: Engine, usage: PostgresUsage) -> None:
        self._engine = engine
        self._position = 0
        self.usage = usage

    def call(
        self,
        at: datetime = LATE,
        *,
        seconds: float = 0.25,
        tenant: str = "acme",
        actor: str = "ann",
        reason: str | None = None,
        **where: str,
    ) -> None:
        """A call that was asked at that time: answered after so many ``seconds``, or interrupted for a ``reason``."""
        completion_id = uuid4()
        ended: object = replace(received(completion_id, cost_usd=Decimal("0.5"), **where), duration=seconds)
        if reason is not None:
            ended = CompletionInterrupted(completion_id=completion_id, reason=reason, attempts=1)
        events = []
        for event in (requested(completion_id, **where), ended):
            self._position += 1
            metadata = Metadata(uuid4(), at, uuid4(), None, actor, tenant)
            events.append(RecordedEvent(self._position, "conversation-1", 1, "", event, metadata))
        with self._engine.begin() as connection:
            UsageProjection().fold(events, connection)


@pytest.fixture
async def counted(migrated: ConnectionInfo) -> AsyncIterator[Counted]:
    engine = create_engine(migrated.sqlalchemy_url)
    async with AsyncConnectionPool(migrated.dsn, min_size=1, max_size=2) as pool:
        yield Counted(engine, PostgresUsage(PresentTables(pool)))
    engine.dispose()


async def test_of_nothing_there_are_no_lines_but_a_sum(counted: Counted) -> None:
    assert await counted.usage.usage(["provider"], EVERYTHING) == []
    (whole,) = await counted.usage.usage([], EVERYTHING)
    assert (whole.group, whole.calls, whole.cost_usd, whole.duration, whole.failures) == ((), 0, 0, None, {})


async def test_a_line_has_its_sums_its_troubles_and_its_percentiles(counted: Counted) -> None:
    for hundredths in range(1, 101):
        counted.call(seconds=hundredths / 100)
    counted.call(reason="client_disconnected")
    counted.call(model="other")
    first, second = await counted.usage.usage(["model"], EVERYTHING)
    assert (first.group, second.group) == (("parrot",), ("other",))
    assert (first.calls, first.answered, first.interrupted) == (101, 100, 1)
    assert (first.cost_usd, first.input_tokens, first.interruptions) == (50, 1200, {"client_disconnected": 1})
    assert first.duration is not None
    assert (first.duration.count, first.duration.mean, first.duration.longest) == (100, 0.505, 1.0)
    assert first.duration.p50 == pytest.approx(0.5, rel=0.05)
    assert first.duration.p95 == pytest.approx(0.95, rel=0.05)
    assert second.duration == Durations(1, 0.25, 0.225, 0.2475, 0.2495, 0.25)
    assert second.time_to_first_token is not None


async def test_names_that_postgresql_cannot_hold(counted: Counted) -> None:
    counted.call(model="a\x00")
    counted.call(model="a\ufffd")
    (line,) = await counted.usage.usage(["model"], CostFilter(model="a\x00"))
    assert (line.group, line.calls) == (("a\ufffd",), 2)


@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [
        ("UTC", date(2026, 11, 23), "2026-11-23T23:00:00+00:00"),
        ("Europe/Berlin", date(2026, 11, 24), "2026-11-24T00:00:00+01:00"),
        ("America/New_York", date(2026, 11, 23), "2026-11-23T18:00:00-05:00"),
        ("Asia/Kathmandu", date(2026, 11, 24), "2026-11-24T05:00:00+05:45"),
    ],
)
async def test_hours_and_days_are_those_of_the_time_zone(counted: Counted, zone: str, day: date, hour: str) -> None:
    counted.call()
    (line,) = await counted.usage.usage(["day", "hour", "tenant"], EVERYTHING, zone)
    assert line.group[0] == day
    assert isinstance(line.group[1], datetime)
    assert (line.group[1].isoformat(), line.group[2]) == (hour, "acme")
    assert line.answered == 1
    assert line.duration is not None


async def test_a_day_begins_where_it_does_even_in_the_middle_of_an_hour(counted: Counted) -> None:
    """In Kathmandu at 18:15 UTC."""
    for minutes in (0, 15):
        counted.call(datetime(2026, 11, 23, 18, minutes, tzinfo=UTC))
    lines = await counted.usage.usage(["day"], EVERYTHING, "Asia/Kathmandu")
    assert [line.group[0] for line in lines] == [date(2026, 11, 23), date(2026, 11, 24)]


async def test_an_hour_that_comes_twice_is_two_hours(counted: Counted) -> None:
    for hour in (0, 1):
        counted.call(datetime(2026, 10, 25, hour, 30, tzinfo=UTC))
    lines = await counted.usage.usage(["hour"], EVERYTHING, "Europe/Berlin")
    assert [str(line.group[0]) for line in lines] == ["2026-10-25 02:00:00+02:00", "2026-10-25 02:00:00+01:00"]


@pytest.mark.parametrize(
    ("matching", "calls"),
    [
        (CostFilter(provider="p"), 1),
        (CostFilter(model="m"), 1),
        (CostFilter(tenant="t", actor="a"), 1),
        (CostFilter(begin=LATE.replace(minute=30)), 3),
        (CostFilter(begin=LATE.replace(minute=45)), 0),
        (CostFilter(end=LATE.replace(minute=30)), 0),
        (CostFilter(end=datetime(2026, 11, 24, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))), 3),
    ],
)
async def test_only_what_is_asked_for_counts(counted: Counted, matching: CostFilter, calls: int) -> None:
    counted.call(provider="p")
    counted.call(model="m")
    counted.call(tenant="t", actor="a")
    (whole,) = await counted.usage.usage([], matching)
    assert whole.calls == calls


async def test_what_cannot_be_told_is_refused(counted: Counted) -> None:
    with pytest.raises(InvalidRequest, match="quarters"):
        await counted.usage.usage([], CostFilter(begin=LATE))
    with pytest.raises(InvalidRequest, match="time zone"):
        await counted.usage.usage(["day"], EVERYTHING, "Atlantis/Capital")
