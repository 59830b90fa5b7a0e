"""Costs as PostgreSQL adds them up: by whatever one asks, in whatever time, on whosever calendar."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Engine, create_engine

from send2llm.application.budgets.queries import PeriodUse
from send2llm.application.context import Metadata, RecordedEvent
from send2llm.application.costs import CostFilter
from send2llm.domain.completion import Usage
from send2llm.domain.conversation_events import AttemptFailed, CompletionInterrupted
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.routing import Attempt, PaidBy
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.cost_queries import PostgresCosts
from send2llm.infrastructure.read_models.statements import PresentTables
from send2llm.testing.event_writer import received, requested

LATE = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
"""In Berlin it is the next day, in New York the evening."""

BUDGET = UUID(int=1)
USAGE = Usage(10, 20)
EVERYTHING = CostFilter()


class Ledger:
    """The costs, and how they come about."""

    def __init__(self, engine: Engine, costs: PostgresCosts) -> None:
        self._engine = engine
        self._position = 0
        self.costs = costs

    def call(
        self,
        cost: str | None,
        *,
        provider: str = "echo",
        model: str = "parrot",
        tenant: str = "acme",
        actor: str = "ann",
        at: datetime = LATE,
        usage: Usage | None = USAGE,
        hold: str | None = None,
        reason: str | None = None,
    ) -> None:
        """A call that was asked at that time and ended a second later: answered, or interrupted for a ``reason``."""
        completion_id = uuid4()
        asked = requested(completion_id, provider=provider, model=model)
        if hold is not None:
            asked = replace(asked, hold_usd=Decimal(hold), paid_by=(PaidBy(BUDGET, "2026-11"),))
        amount = None if cost is None else Decimal(cost)
        ended: object = received(completion_id, provider=provider, model=model, usage=usage, cost_usd=amount)
        if reason is not None:
            ended = CompletionInterrupted(
                completion_id=completion_id, reason=reason, attempts=1, cost_usd=amount, assumed="all that was held"
            )
        self._happen([(asked, at), (ended, at + timedelta(seconds=1))], actor, tenant)

    def tried(self, *providers: str) -> None:
        """A call that asked these providers, one an hour, and is still at the last of them."""
        completion_id = uuid4()
        happened: list[tuple[object, datetime]] = [(requested(completion_id, provider=providers[0]), LATE)]
        for number, provider in enumerate(providers[1:], 1):
            failed = AttemptFailed(
                completion_id=completion_id,
                attempt=number,
                provider=providers[number - 1],
                model="parrot",
                error="timed_out",
                detail="",
                retryable=True,
                status=None,
                duration=1.0,
                next_attempt=Attempt(number + 1, provider, "parrot"),
            )
            happened.append((failed, LATE + timedelta(hours=number)))
        self._happen(happened, "ann", "acme")

    def _happen(self, happened: Sequence[tuple[object, datetime]], actor: str, tenant: str) -> None:
        events = []
        for event, moment in happened:
            self._position += 1
            metadata = Metadata(uuid4(), moment, uuid4(), None, actor, tenant)
            events.append(RecordedEvent(self._position, f"conversation-{uuid4()}", 1, "", event, metadata))
        with self._engine.begin() as connection:
            CostLedgerProjection().fold(events, connection)


@pytest.fixture
async def ledger(migrated: ConnectionInfo) -> AsyncIterator[Ledger]:
    engine = create_engine(migrated.sqlalchemy_url)
    async with AsyncConnectionPool(migrated.dsn, min_size=1, max_size=2) as pool:
        yield Ledger(engine, PostgresCosts(PresentTables(pool)))
    engine.dispose()


async def test_of_nothing_there_are_no_lines_but_a_sum(ledger: Ledger) -> None:
    assert await ledger.costs.costs(["provider"], EVERYTHING) == []
    (whole,) = await ledger.costs.costs([], EVERYTHING)
    assert (whole.group, whole.calls, whole.cost_usd) == ((), 0, 0)


@pytest.mark.parametrize("group", ["provider", "model", "tenant", "actor"])
async def test_each_group_has_its_sums_the_dearest_first(ledger: Ledger, group: str) -> None:
    ledger.call("0.000000000001", **{group: "one"})
    ledger.call("0.25", **{group: "other"})
    ledger.call("0.5", **{group: "other"})
    lines = await ledger.costs.costs([group], EVERYTHING)  # type: ignore[list-item] # one of them
    assert [(line.group, line.calls, line.cost_usd) for line in lines] == [
        (("other",), 2, Decimal("0.75")),
        (("one",), 1, Decimal("1e-12")),
    ]
    assert (lines[0].input_tokens, lines[0].output_tokens) == (20, 40)


async def test_a_call_of_several_attempts_is_one_call_in_each_group(ledger: Ledger) -> None:
    ledger.call("1")
    ledger.tried("echo", "echo", "other", "echo")
    ledger.tried("other", "other")
    (whole,) = await ledger.costs.costs([], EVERYTHING)
    assert (whole.calls, whole.attempts) == (3, 7)
    counted = {
        line.group[0]: (line.calls, line.attempts) for line in await ledger.costs.costs(["provider"], EVERYTHING)
    }
    assert counted == {"echo": (2, 4), "other": (2, 3)}
    (of_other,) = await ledger.costs.costs([], CostFilter(provider="other"))
    assert (of_other.calls, of_other.attempts) == (2, 3)
    hours = await ledger.costs.costs(["hour"], EVERYTHING)
    assert [(line.calls, line.attempts) for line in hours] == [(3, 3), (2, 2), (1, 1), (1, 1)]
    later = await ledger.costs.costs([], CostFilter(begin=LATE + timedelta(hours=1)))
    assert [(line.calls, line.attempts) for line in later] == [(2, 4)]


async def test_several_groups_in_the_order_in_which_they_are_asked_for(ledger: Ledger) -> None:
    for tenant, model, cost in (("a", "x", "1"), ("a", "y", "2"), ("b", "x", "4")):
        ledger.call(cost, tenant=tenant, model=model)
    lines = await ledger.costs.costs(["model", "tenant"], EVERYTHING)
    assert [(line.group, line.cost_usd) for line in lines] == [(("x", "b"), 4), (("y", "a"), 2), (("x", "a"), 1)]


@pytest.mark.parametrize(
    ("zone", "day"),
    [("UTC", date(2026, 11, 23)), ("Europe/Berlin", date(2026, 11, 24)), ("America/New_York", date(2026, 11, 23))],
)
async def test_a_day_is_one_of_the_time_zone(ledger: Ledger, zone: str, day: date) -> None:
    ledger.call("1")
    (line,) = await ledger.costs.costs(["day"], EVERYTHING, zone)
    assert line.group == (day,)


async def test_hours_are_those_of_the_time_zone_in_their_order(ledger: Ledger) -> None:
    ledger.call("1")
    ledger.call("2", at=LATE + timedelta(minutes=45))
    lines = await ledger.costs.costs(["hour"], EVERYTHING, "Asia/Kathmandu")
    assert [(str(line.group[0]), line.calls) for line in lines] == [
        ("2026-11-24 05:00:00+05:45", 1),
        ("2026-11-24 06:00:00+05:45", 1),
    ]


async def test_days_come_in_their_order_and_the_dearest_first_in_each(ledger: Ledger) -> None:
    ledger.call("1", at=LATE + timedelta(days=1))
    ledger.call("2", at=LATE)
    ledger.call("3", at=LATE, tenant="other")
    lines = await ledger.costs.costs(["tenant", "day"], EVERYTHING)
    assert [(line.group, line.cost_usd) for line in lines] == [
        (("other", date(2026, 11, 23)), 3),
        (("acme", date(2026, 11, 23)), 2),
        (("acme", date(2026, 11, 24)), 1),
    ]


async def test_days_on_which_clocks_are_turned(ledger: Ledger) -> None:
    """In Berlin the 25th of October 2026 has 25 hours, from 22:00 to 23:00 UTC on the next day."""
    for hour in range(26):
        ledger.call("1", at=datetime(2026, 10, 24, 21, 30, tzinfo=UTC) + timedelta(hours=hour))
    lines = await ledger.costs.costs(["day"], EVERYTHING, "Europe/Berlin")
    assert [(line.group[0], line.calls) for line in lines] == [(date(2026, 10, 24), 1), (date(2026, 10, 25), 25)]


async def test_an_unknown_time_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest):
        await ledger.costs.costs(["day"], EVERYTHING, "Atlantis/Capital")


@pytest.mark.parametrize(
    ("matching", "cost"),
    [
        (CostFilter(provider="p"), 1),
        (CostFilter(model="m"), 2),
        (CostFilter(tenant="t"), 4),
        (CostFilter(actor="a"), 8),
        (CostFilter(provider="p", model="m"), 0),
        (CostFilter(provider="nobody"), 0),
        (CostFilter(provider="with \x00 in it"), 0),
        (EVERYTHING, 15),
    ],
)
async def test_only_what_is_asked_for_counts(ledger: Ledger, matching: CostFilter, cost: int) -> None:
    ledger.call("1", provider="p")
    ledger.call("2", model="m")
    ledger.call("4", tenant="t")
    ledger.call("8", actor="a")
    (whole,) = await ledger.costs.costs([], matching)
    assert whole.cost_usd == cost


@pytest.mark.parametrize(
    ("begin", "end", "cost"),
    [(None, None, 7), (0, None, 6), (1, None, 4), (None, 0, 1), (None, 1, 3), (0, 1, 2), (1, 0, 0)],
)
async def test_a_range_takes_its_begin_in_and_leaves_its_end_out(
    ledger: Ledger, begin: int | None, end: int | None, cost: int
) -> None:
    """Calls count where they begin, however long they take."""
    for minutes, amount in ((-1, "1"), (0, "2"), (1, "4")):
        ledger.call(amount, at=LATE + timedelta(minutes=minutes))
    bounds = [None if minutes is None else LATE + timedelta(minutes=minutes) for minutes in (begin, end)]
    (whole,) = await ledger.costs.costs([], CostFilter(*bounds))
    assert whole.cost_usd == cost


async def test_what_is_assumed_and_what_has_no_price_stands_apart(ledger: Ledger) -> None:
    ledger.call("1")
    ledger.call("2", reason="client_disconnected", hold="2")
    ledger.call(None)
    ledger.call(None, reason="client_disconnected")  # nothing had come of it
    (whole,) = await ledger.costs.costs([], EVERYTHING)
    assert (whole.calls, whole.cost_usd, whole.assumed_usd, whole.unpriced) == (4, 3, 2, 1)


async def test_the_use_of_a_period(ledger: Ledger) -> None:
    ledger.call("0.25", hold="1", at=LATE - timedelta(hours=2))
    ledger.call("0.5", hold="1")
    ledger.call("9")  # under no budget
    use = await ledger.costs.period_use(BUDGET, "2026-11", LATE - timedelta(hours=1))
    assert use == PeriodUse(Decimal(0), Decimal("0.75"), Decimal("0.5"))
    assert await ledger.costs.period_use(BUDGET, "2026-12", LATE) == PeriodUse(Decimal(0), Decimal(0), Decimal(0))
