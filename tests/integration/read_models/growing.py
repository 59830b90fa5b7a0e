"""Calls that happen, as they do, while projections follow; and what has become of the tables then."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import TupleRow

from send2llm.application.projections import Projection
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    ConversationEvent,
    ConversationStarted,
)
from send2llm.domain.routing import Attempt, PaidBy
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.timing import Timing
from send2llm.testing.event_writer import EventWriter, received, requested, said
from send2llm.testing.eventually import eventually

BUDGETS = tuple(UUID(int=number) for number in (1, 2, 3))

Dump = dict[str, list[tuple[str]]]


def follow(
    database: ConnectionInfo,
    projections: Sequence[Projection],
    writer: EventWriter,
    page_size: int,
    work: Callable[[], None] = lambda: None,
) -> Dump:
    """The rows of all tables, when the projections have taken in what was there, and what ``work`` adds."""
    timing = Timing(page_size=page_size, poll=0.05, linger=0.0)
    with (
        Projector(database, projections, writer.codec, timing).running(),
        psycopg.connect(database.dsn, autocommit=True) as onlooker,
    ):
        work()
        eventually(lambda: _caught_up(onlooker, len(projections)), 60)
    tables = tables_of(projections)
    with psycopg.connect(database.dsn) as connection:
        return {
            table: connection.execute(f"SELECT row::text FROM {table} AS row ORDER BY 1".encode()).fetchall()
            for table in tables
        }


def begin_anew(database: ConnectionInfo, projections: Sequence[Projection]) -> None:
    with psycopg.connect(database.dsn) as connection:
        for table in tables_of(projections):
            connection.execute(f"TRUNCATE {table}".encode())
        connection.execute("DELETE FROM projection_checkpoints")


def tables_of(projections: Sequence[Projection]) -> list[str]:
    return sorted(table for projection in projections for table in projection.tables.tables)


class Calls:
    """Calls that go on side by side and end in every way, and what each attempt came to."""

    def __init__(self, writer: EventWriter, random: Random) -> None:
        self._writer = writer
        self._random = random
        self.costs: dict[tuple[UUID, int], Decimal] = {}
        self._paying: dict[tuple[UUID, int], tuple[PaidBy, ...]] = {}
        self._held: dict[tuple[UUID, int], Decimal] = {}

    def live(self, steps: int = 100) -> None:
        conversations = [uuid4() for _ in range(8)]
        for conversation_id in conversations:
            self._writer.write(conversation_id, ConversationStarted())
        late: list[tuple[UUID, UUID]] = []
        for _ in range(steps):
            conversation_id, completion_id = self._random.choice(conversations), uuid4()
            what = self._random.choice(["answered", "again", "gave up", "gone", "runs", "late"])
            if what == "late":
                if late:
                    self._end(*late.pop(), attempt=1)
                continue
            self._begin(conversation_id, completion_id)
            if what == "answered":
                self._end(conversation_id, completion_id, attempt=1)
            elif what == "again":
                self._fail(conversation_id, completion_id)
                self._end(conversation_id, completion_id, attempt=2)
            elif what == "gave up":
                self._fail(conversation_id, completion_id)
                failed = {"error": "timed_out", "detail": "", "attempts": 1, "duration": 1.0}
                self._write(conversation_id, CompletionFailed(completion_id=completion_id, **failed))
                self._settle((completion_id, 2), Decimal(0))
            elif what == "gone":
                cost = self._held.get((completion_id, 1))
                gone = CompletionInterrupted(
                    completion_id=completion_id, reason="process_gone", attempts=1, cost_usd=cost
                )
                self._write(conversation_id, gone)
                self._settle((completion_id, 1), cost or Decimal(0))
                late.append((conversation_id, completion_id))

    def spent_by_budget(self) -> dict[UUID, Decimal]:
        spent = dict.fromkeys((paying.budget_id for paid in self._paying.values() for paying in paid), Decimal(0))
        for key, cost in self.costs.items():
            for paying in self._paying.get(key, ()):
                spent[paying.budget_id] += cost
        return spent

    def still_held(self) -> Decimal:
        """By each of the budgets that pay."""
        return sum((hold * len(self._paying[key]) for key, hold in self._held.items()), Decimal(0))

    def _begin(self, conversation_id: UUID, completion_id: UUID) -> None:
        hold, paid_by = self._money((completion_id, 1))
        event = replace(requested(completion_id), hold_usd=hold, paid_by=paid_by)
        self._write(conversation_id, said("Hello?"), event)

    def _fail(self, conversation_id: UUID, completion_id: UUID) -> None:
        cost = self._random.choice([None, self._held.get((completion_id, 1))])
        hold, paid_by = self._money((completion_id, 2))
        failed = AttemptFailed(
            completion_id=completion_id,
            attempt=1,
            provider="echo",
            model="parrot",
            error="timed_out",
            detail="",
            retryable=True,
            status=None,
            duration=1.0,
            cost_usd=cost,
            next_attempt=Attempt(2, "echo", "parrot", hold, paid_by),
        )
        self._write(conversation_id, failed)
        self._settle((completion_id, 1), cost or Decimal(0))

    def _end(self, conversation_id: UUID, completion_id: UUID, *, attempt: int) -> None:
        cost = Decimal(self._random.randrange(10**9)) / 10**12
        self._write(conversation_id, replace(received(completion_id, cost_usd=cost), attempts=attempt))
        self._settle((completion_id, attempt), cost)

    def _money(self, key: tuple[UUID, int]) -> tuple[Decimal | None, tuple[PaidBy, ...]]:
        chosen = self._random.sample(BUDGETS, self._random.randrange(3))
        paying = tuple(PaidBy(budget_id, "2026-11") for budget_id in chosen)
        if not paying:
            return None, ()
        self._paying[key], self._held[key] = paying, Decimal(self._random.randrange(1, 10**6)) / 10**6
        return self._held[key], paying

    def _settle(self, key: tuple[UUID, int], cost: Decimal) -> None:
        self.costs[key] = cost
        self._held.pop(key, None)

    def _write(self, conversation_id: UUID, *events: ConversationEvent) -> None:
        self._writer.write(conversation_id, *events)


def _caught_up(onlooker: psycopg.Connection[TupleRow], projections: int) -> bool:
    row = onlooker.execute(
        "SELECT count(*) FROM projection_checkpoints WHERE position = (SELECT max(notification_id) FROM stored_events)"
    ).fetchone()
    return row == (projections,)
