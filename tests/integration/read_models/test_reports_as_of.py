"""Reports as of an earlier position are what was read then: recorded event after event, asked for later."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID, uuid4

import psycopg
import pytest
from growing import BUDGETS, Calls, follow
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Connection, MetaData, select, text
from sqlalchemy.exc import ProgrammingError

from send2llm.application.budgets.queries import PeriodUse
from send2llm.application.context import RecordedEvent
from send2llm.application.costs import CostFilter, CostQueries
from send2llm.application.moments import Moment
from send2llm.application.projections import Projection
from send2llm.application.queries import HistoryQueries
from send2llm.application.usage import UsageQueries
from send2llm.domain.conversation_events import (
    CompletionInterrupted,
    ConversationErased,
    ConversationEvent,
    ConversationStarted,
    FeedbackGiven,
)
from send2llm.domain.errors import ConfigurationError, InvalidRequest, StoreUnavailable
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.fold_transaction import FoldEndedTransaction
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.timing import Timing
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.cost_queries import PostgresCosts
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.history_queries import PostgresHistory
from send2llm.infrastructure.read_models.history_tables import conversations
from send2llm.infrastructure.read_models.reports_as_of import PostgresReportsAsOf
from send2llm.infrastructure.read_models.statements import PastTables, PresentTables
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.read_models.usage_queries import PostgresUsage
from send2llm.testing.event_writer import EventWriter, received, requested, said, turn
from send2llm.testing.eventually import eventually
from send2llm.testing.postgres import TestDatabaseServer

PERIOD = "2026-11"
ZERO = Decimal(0)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PROJECTIONS = (HistoryProjection(), CostLedgerProjection(), UsageProjection())


def moment(position: int) -> Moment:
    return Moment(position, NOW)


@dataclass(frozen=True)
class Told:
    """What the three reports say, each by several groups, and how budgets are used."""

    costs: object
    usage: object
    history: object
    uses: Mapping[UUID, PeriodUse]


@pytest.fixture
def past(migrated: ConnectionInfo, writer: EventWriter) -> ProjectionsAsOf:
    return ProjectionsAsOf(migrated, writer.codec)


@pytest.fixture
def reports(past: ProjectionsAsOf) -> PostgresReportsAsOf:
    return PostgresReportsAsOf(past)


@pytest.fixture
async def present(migrated: ConnectionInfo) -> AsyncIterator[Callable[[], Awaitable[Told]]]:
    async with AsyncConnectionPool(migrated.dsn, min_size=1, max_size=1) as pool:
        tables = PresentTables(pool)
        costs, usage, history = PostgresCosts(tables), PostgresUsage(tables), PostgresHistory(tables)

        async def told() -> Told:
            uses = {budget_id: await costs.period_use(budget_id, PERIOD, NOW) for budget_id in BUDGETS}
            return await tell(
                costs, usage, history, {budget_id: replace(use, lately_usd=None) for budget_id, use in uses.items()}
            )

        yield told


async def then(reports: PostgresReportsAsOf, position: int) -> Told:
    when = moment(position)
    found = await reports.period_uses(when, [(budget_id, PERIOD) for budget_id in BUDGETS])
    uses = {budget_id: found.get((budget_id, PERIOD), PeriodUse(ZERO, ZERO)) for budget_id in BUDGETS}
    return await tell(reports.costs(when), reports.usage(when), reports.history(when), uses)


async def tell(
    costs: CostQueries, usage: UsageQueries, history: HistoryQueries, uses: Mapping[UUID, PeriodUse]
) -> Told:
    page = await history.conversations(limit=500)
    return Told(
        [await costs.costs(by, CostFilter()) for by in ((), ("provider", "model"), ("hour",))],
        [await usage.usage(by, CostFilter()) for by in ((), ("model", "tenant"))],
        page.conversations,
        uses,
    )


async def test_every_position_reads_as_it_did_when_it_was_the_last(
    migrated: ConnectionInfo, writer: EventWriter, reports: PostgresReportsAsOf, present: Callable[[], Awaitable[Told]]
) -> None:
    """Calls side by side, that fail and are tried again, are written off and answered after all, are judged, or run."""
    recorded: dict[int, Told] = {}
    timing = Timing(poll=0.02, linger=0.0)
    with (
        Projector(migrated, PROJECTIONS, writer.codec, timing).running(),
        psycopg.connect(migrated.dsn, autocommit=True) as onlooker,
    ):
        loop = asyncio.get_running_loop()

        def written(positions: Sequence[int]) -> None:
            eventually(lambda: caught_up(onlooker, positions[-1]), 60)
            recorded[positions[-1]] = asyncio.run_coroutine_threadsafe(present_now(), loop).result()

        async def present_now() -> Told:
            return await present()

        await asyncio.to_thread(RecordedCalls(writer, written).live)
    positions = sorted(recorded)
    assert len(positions) > 60
    # Of the last ones some are followed by just one more event of a conversation.
    for position in [positions[0], *Random(7).sample(positions, 8), *positions[-10:]]:
        assert await then(reports, position) == recorded[position], position
    # The same from the first event on, with no rows that are still as they were.
    with psycopg.connect(migrated.dsn) as connection:
        connection.execute("DELETE FROM projection_checkpoints")
    for position in Random(8).sample(positions, 6):
        assert await then(reports, position) == recorded[position], position


class RecordedCalls:
    """``Calls`` one event at a time, each told with its position; and somebody judges an answer now and then."""

    def __init__(self, writer: EventWriter, written: Callable[[Sequence[int]], None]) -> None:
        self._writer = writer
        self._written = written
        self._random = Random(4711)
        self._calls = Calls(self, self._random)  # type: ignore[arg-type] # all that it does is to write

    def live(self) -> None:
        self._calls.live(steps=35)

    def write(self, conversation_id: object, *events: ConversationEvent) -> None:
        for event in events:
            self._written(self._writer.write(conversation_id, event))  # type: ignore[arg-type] # an id
        if self._random.random() < 0.1:
            judged = FeedbackGiven(completion_id=None, score=Decimal(1), comment="")
            self._written(self._writer.write(conversation_id, judged))  # type: ignore[arg-type] # an id


def caught_up(onlooker: psycopg.Connection, position: int) -> bool:
    row = onlooker.execute("SELECT count(*) FROM projection_checkpoints WHERE position = %s", (position,)).fetchone()
    return row == (len(PROJECTIONS),)


async def test_tables_that_are_behind_do_not_matter(
    migrated: ConnectionInfo, writer: EventWriter, reports: PostgresReportsAsOf
) -> None:
    """Some conversations went on, one began and one was erased after the last event that the tables have taken in."""
    talks = [uuid4() for _ in range(3)]
    for talk in talks:
        writer.write(talk, ConversationStarted(), *turn("first"))
    behind = follow(migrated, PROJECTIONS, writer, 100)
    writer.write(talks[0], *turn("second"))
    (middle,) = writer.write(talks[1], ConversationErased(reason=""))
    last = writer.write(uuid4(), ConversationStarted(), *turn("third"))[-1]
    lagging = [await then(reports, position) for position in (middle, last)]
    assert follow(migrated, PROJECTIONS, writer, 100) != behind
    assert [await then(reports, position) for position in (middle, last)] == lagging
    with psycopg.connect(migrated.dsn) as connection:
        connection.execute("DELETE FROM projection_checkpoints")
    assert [await then(reports, position) for position in (middle, last)] == lagging


async def test_what_is_known_later_does_not_count_yet(writer: EventWriter, reports: PostgresReportsAsOf) -> None:
    conversation_id, completion_id = uuid4(), uuid4()
    held = replace(requested(completion_id), hold_usd=Decimal("0.01"))
    gone = CompletionInterrupted(
        completion_id=completion_id, reason="process_gone", attempts=1, cost_usd=Decimal("0.01"), assumed="hold"
    )
    (asked,) = writer.write(conversation_id, ConversationStarted(), said("Hello?"), held)[-1:]
    (written_off,) = writer.write(conversation_id, gone)
    (answered,) = writer.write(conversation_id, received(completion_id, cost_usd=Decimal("0.002")))
    told = {}
    for position in (asked, written_off, answered):
        (cost,) = await reports.costs(moment(position)).costs([], CostFilter())
        (used,) = await reports.usage(moment(position)).usage([], CostFilter())
        told[position] = (cost.cost_usd, cost.assumed_usd, used.answered, used.interruptions, used.cost_usd)
    assert told == {
        asked: (Decimal(0), Decimal(0), 0, {}, Decimal(0)),
        written_off: (Decimal("0.01"), Decimal("0.01"), 0, {"process_gone": 1}, Decimal("0.01")),
        answered: (Decimal("0.002"), Decimal(0), 1, {}, Decimal("0.002")),
    }


async def test_what_was_erased_since_stays_erased(migrated: ConnectionInfo) -> None:
    with EventWriter(migrated, TextKeys.generate()) as writer:
        reports = PostgresReportsAsOf(ProjectionsAsOf(migrated, writer.codec))
        conversation_id = uuid4()
        last = writer.write(conversation_id, ConversationStarted(), *turn("a secret"))[-1]
        (line,) = (await reports.history(moment(last)).conversations()).conversations
        assert (line.title, line.state) == ("a secret", "open")
        writer.write(conversation_id, ConversationErased(reason="asked for"))
        (after,) = (await reports.history(moment(last)).conversations()).conversations
    assert after == replace(line, title=None)


async def test_nothing_is_left_behind_and_nothing_else_is_touched(
    migrated: ConnectionInfo, writer: EventWriter, reports: PostgresReportsAsOf
) -> None:
    last = writer.write(uuid4(), ConversationStarted(), *turn("Hello?"))[-1]
    assert (await reports.costs(moment(last)).costs([], CostFilter()))[0].calls == 1
    with psycopg.connect(migrated.dsn) as connection:
        for query in ("cost_ledger_v1_attempts", "projection_checkpoints", "pg_class WHERE relpersistence = 't'"):
            assert connection.execute(f"SELECT count(*) FROM {query}".encode()).fetchone() == (0,), query


async def test_tables_that_move_on_while_the_question_is_asked_do_not_matter(
    migrated: ConnectionInfo, writer: EventWriter, past: ProjectionsAsOf
) -> None:
    conversation_id = uuid4()
    last = writer.write(conversation_id, ConversationStarted(), *turn("first"))[-1]
    follow(migrated, [HistoryProjection()], writer, 100)

    def question(connection: Connection) -> int:
        writer.write(conversation_id, *turn("second"))
        follow(migrated, [HistoryProjection()], writer, 100)
        return connection.execute(text("SELECT sum(message_count) FROM history_conversations")).scalar_one()

    assert await past.ask(HistoryProjection(), last, question, {conversations: "id"}) == 2


class Meddling:
    """A projection that breaks the contract: it writes to a table that is not its own."""

    name, version = "meddling", 1
    topics = frozenset({"conversation.started"})
    tables = MetaData()

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        connection.execute(text("INSERT INTO projection_skips VALUES ('x', 1, 1, '', '', now())"))


async def test_a_fold_that_meddles_with_other_tables_is_refused(past: ProjectionsAsOf, writer: EventWriter) -> None:
    writer.write(uuid4(), ConversationStarted())
    with pytest.raises(Exception, match="read-only transaction"):
        await past.ask(Meddling(), 1, lambda _: None)


async def test_what_a_fold_raises_is_told_to_who_asks(past: ProjectionsAsOf, writer: EventWriter) -> None:
    class Raising(Meddling):
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
            raise self.error

    writer.write(uuid4(), ConversationStarted())
    with pytest.raises(ValueError, match="no price"):
        await past.ask(Raising(ValueError("no price")), 1, lambda _: None)
    with pytest.raises(ConfigurationError, match="meddling cannot be folded: it raised SystemExit: 3"):
        await past.ask(Raising(SystemExit(3)), 1, lambda _: None)


async def test_a_fold_cannot_leave_the_transaction_that_changes_nothing(
    migrated: ConnectionInfo, past: ProjectionsAsOf, writer: EventWriter
) -> None:
    class Leaving(Meddling):
        def __init__(self, way_out: str) -> None:
            self.way_out = way_out

        def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
            connection.execute(text(self.way_out))
            super().fold(events, connection)
            connection.execute(text("COMMIT"))

    writer.write(uuid4(), ConversationStarted())
    for way_out in ("ROLLBACK", "commit"):
        with pytest.raises(FoldEndedTransaction):
            await past.ask(Leaving(way_out), 1, lambda _: None)
    with psycopg.connect(migrated.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM projection_skips").fetchone() == (0,)


class Counting:
    """Counts, in memory, how many events it has folded, and waits for leave after the first page."""

    name, version = "counting", 1
    topics = frozenset({"conversation.started"})
    tables = MetaData()
    reads_texts = False

    def __init__(self) -> None:
        self.folding = asyncio.Event()
        self.pages = 0
        self._loop = asyncio.get_running_loop()

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        self.pages += 1
        self._loop.call_soon_threadsafe(self.folding.set)


async def test_who_leaves_stops_the_fold_and_lets_the_next_one_ask(
    monkeypatch: pytest.MonkeyPatch, past: ProjectionsAsOf, writer: EventWriter
) -> None:
    monkeypatch.setattr("send2llm.infrastructure.projections.past_fold.PAGE", 1)
    last = 0
    for _ in range(500):
        (last,) = writer.write(uuid4(), ConversationStarted())
    projection = Counting()
    asking = asyncio.create_task(past.ask(projection, last, lambda _: "whole"))
    await projection.folding.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert projection.pages < 500
    assert await past.ask(Counting(), last, lambda _: "whole") == "whole"


async def test_before_the_first_event_there_is_no_report(reports: PostgresReportsAsOf) -> None:
    for ask in (reports.costs, reports.usage, reports.history):
        with pytest.raises(InvalidRequest, match="Nothing had happened"):
            ask(moment(0))


async def test_what_is_wrong_with_the_question_is_told_before_anything_is_folded(reports: PostgresReportsAsOf) -> None:
    never = PostgresReportsAsOf(ProjectionsAsOf(ConnectionInfo("127.0.0.1", "nowhere", "nobody", 1), None))  # type: ignore[arg-type] # not decoded
    with pytest.raises(InvalidRequest, match="time zone"):
        await never.costs(moment(1)).costs([], CostFilter(), "Mars/Olympus")
    with pytest.raises(InvalidRequest, match="quarters"):
        await never.usage(moment(1)).usage([], CostFilter(begin=NOW + timedelta(minutes=1)))
    with pytest.raises(StoreUnavailable):
        await never.costs(moment(1)).costs([], CostFilter())


async def test_a_database_without_tables(database: ConnectionInfo) -> None:
    empty = PostgresReportsAsOf(ProjectionsAsOf(database, EventCodec(EventRegistry.default())))
    with pytest.raises(StoreUnavailable, match="send2llm migrate"):
        await empty.costs(moment(1)).costs([], CostFilter())


async def test_tables_that_were_dropped_meanwhile_are_no_missing_migration(
    migrated: ConnectionInfo, writer: EventWriter, past: ProjectionsAsOf
) -> None:
    """The question saw the build before somebody dropped it, and finds no tables after."""
    last = writer.write(uuid4(), ConversationStarted(), *turn("first"))[-1]
    follow(migrated, [HistoryProjection()], writer, 100)
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        for place in ("'no_such_schema'", "'pg_catalog'"):
            connection.execute(f"UPDATE projection_checkpoints SET place = {place}".encode())
            with pytest.raises(StoreUnavailable, match=r"moved or dropped just now\. Try again"):
                await past.ask(HistoryProjection(), last, lambda _: None, {conversations: "id"})


async def test_a_table_that_only_the_fold_misses_is_told_as_it_is(past: ProjectionsAsOf, writer: EventWriter) -> None:
    class Forgetful(Meddling):
        def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
            connection.execute(text("SELECT FROM forgotten"))

    (last,) = writer.write(uuid4(), ConversationStarted())
    with pytest.raises(ProgrammingError, match='"forgotten" does not exist'):
        await past.ask(Forgetful(), last, lambda _: None)


async def test_a_role_without_the_right_to_temporary_tables(
    migrated: ConnectionInfo, writer: EventWriter, postgres_server: TestDatabaseServer
) -> None:
    writer.write(uuid4(), ConversationStarted())
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS as_of_reader")
        connection.execute("CREATE ROLE as_of_reader LOGIN PASSWORD 'secret'")
        connection.execute(f"REVOKE TEMPORARY ON DATABASE {migrated.dbname} FROM PUBLIC".encode())
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO as_of_reader")
    try:
        reader = replace(migrated, user="as_of_reader", password="secret")
        reports = PostgresReportsAsOf(ProjectionsAsOf(reader, writer.codec))
        with pytest.raises(ConfigurationError, match="GRANT TEMPORARY"):
            await reports.costs(moment(1)).costs([], CostFilter())
        with psycopg.connect(migrated.dsn, autocommit=True) as connection:
            connection.execute(f"GRANT TEMPORARY ON DATABASE {migrated.dbname} TO as_of_reader".encode())
        assert (await reports.costs(moment(1)).costs([], CostFilter()))[0].calls == 0
    finally:
        with psycopg.connect(migrated.dsn, autocommit=True) as connection:
            connection.execute("DROP OWNED BY as_of_reader")
            connection.execute("DROP ROLE as_of_reader")


async def test_an_event_that_was_left_out_stays_left_out(
    migrated: ConnectionInfo, writer: EventWriter, past: ProjectionsAsOf
) -> None:
    first, second = uuid4(), uuid4()
    writer.write(first, ConversationStarted())
    (left_out,) = writer.write(second, ConversationStarted())
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO projection_skips VALUES ('history', 1, %s, 'broken', 'tester')", (left_out,))
    projection: Projection = HistoryProjection()
    (rows,) = await PastTables(past, projection, left_out).read("them", select(conversations.c.id))
    assert rows == [{"id": first}]
