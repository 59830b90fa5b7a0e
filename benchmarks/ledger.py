"""Money: how fast the cost ledger is rebuilt, and how fast, and in how much memory, the log is audited.

``python benchmarks/ledger.py [calls]`` needs nothing and takes half a minute: it starts the embedded PostgreSQL on a
folder of its own. Every call holds money of two budgets, which lend a slice for every sixteen calls; of a hundred calls
one is answered at its second attempt, and one is written off. The audit runs in a process of its own, on a log of that
length and on one that is four times as long.
"""

import asyncio
import multiprocessing
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg_pool import AsyncConnectionPool

import figures
from projection import rebuild
from send2llm.application.context import Metadata
from send2llm.application.money_audit import AuditMoney
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.budget_period import TOTAL, Recurrence
from send2llm.domain.budget_plan_events import BudgetDefined
from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetScope
from send2llm.domain.conversation_events import AttemptFailed, CompletionInterrupted, ConversationStarted
from send2llm.domain.provider_budget_events import AllowanceGranted, AllowanceSettled, PeriodOpened
from send2llm.domain.routing import Attempt, PaidBy
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.streams import (
    BudgetStreams,
    allowance_stream,
    budget_plan_stream,
    budget_stream,
    conversation_stream,
)
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.prices import GenaiPriceBook, OverridePriceBook
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.infrastructure.system import SystemClock
from send2llm.testing.event_writer import EventWriter, received, requested, said
from send2llm.testing.postgres import TestDatabaseServer

CALLS = 10_000
SLICE_CALLS = 16
TEXT = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all. " * 5
HOLD, COST, LENT, ZERO = Decimal("0.01"), Decimal("0.000123"), Decimal("0.2"), Decimal(0)
NOW = datetime.now(UTC)


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("calls", nargs="?", type=int, default=CALLS)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="send2llm-bench-"))
    folder.chmod(0o755)
    try:
        with TestDatabaseServer(folder, durable=True) as server:
            database = server.create_database()
            migrate(database)
            with EventWriter(database) as writer, psycopg.connect(database.dsn, autocommit=True) as connection:
                log = Log(writer)
                log.fill(given.calls)
                audits = [audit(database)]
                log.fill(3 * given.calls)
                audits.append(audit(database))
                rebuilt = rebuild(database, connection, log.events, CostLedgerProjection)
                figures.tell("Rebuild of the cost ledger", [rebuilt], given.figures)
                figures.tell("Audit of money", audits, given.figures)
    finally:
        shutil.rmtree(folder)


class Log:
    """Calls under two budgets, as the service would have stored them."""

    def __init__(self, writer: EventWriter) -> None:
        self._writer = writer
        self._versions: Counter[str] = Counter()
        self._rows: list[StoredEvent] = []
        self._lent: list[tuple[UUID, UUID]] = []
        self._spent = ZERO
        self.events = 0
        self._paid_by = tuple(PaidBy(uuid4(), TOTAL.key) for _ in range(2))
        for paying, scope in zip(self._paid_by, (WHOLE_SERVICE, BudgetScope("echo")), strict=True):
            terms = {"limit_usd": Decimal(10**9), "carry_over": False, "thresholds": ()}
            defined = BudgetDefined(scope=scope, recurrence=Recurrence("total"), **terms)
            self._add(budget_plan_stream(paying.budget_id), defined)
            opened = PeriodOpened(budget_id=paying.budget_id, scope=scope, period=TOTAL, carried_over_usd=ZERO, **terms)
            self._add(budget_stream(paying.budget_id, TOTAL.key), opened)

    def fill(self, calls: int) -> None:
        """Store so many calls more."""
        began = time.perf_counter()
        for number in range(calls):
            if number % SLICE_CALLS == 0:
                self._borrow()
            self._call(number)
        self._settle()
        for start in range(0, len(self._rows), 1000):
            self._writer.store(self._rows[start : start + 1000])
        self.events += len(self._rows)
        self._rows.clear()
        print(f"stored {self.events:,} events in {time.perf_counter() - began:.1f} s")

    def _call(self, number: int) -> None:
        conversation_id, completion_id = uuid4(), uuid4()
        asked = replace(requested(completion_id), hold_usd=HOLD, paid_by=self._paid_by)
        self._say(conversation_id, ConversationStarted(), said(TEXT), asked)
        self._hold(conversation_id, completion_id, 1)
        attempts = 1
        if number % 100 == 1:
            attempts = 2
            failed = AttemptFailed(
                completion_id=completion_id,
                attempt=1,
                provider="echo",
                model="parrot",
                error="provider_overloaded",
                detail="The provider is too busy (503).",
                retryable=True,
                status=503,
                duration=0.25,
                next_attempt=Attempt(2, "echo", "parrot", HOLD, self._paid_by),
            )
            self._say(conversation_id, failed)
            self._hold(conversation_id, completion_id, 2)
        if number % 100 == 2:
            gone = CompletionInterrupted(completion_id=completion_id, reason="process_gone", attempts=1, cost_usd=HOLD)
            self._say(conversation_id, gone)
            self._spent += HOLD
        else:
            answered = replace(received(completion_id, TEXT, cost_usd=COST), attempts=attempts)
            self._say(conversation_id, answered)
            self._spent += COST

    def _borrow(self) -> None:
        self._settle()
        for paying in self._paid_by:
            allowance_id = uuid4()
            self._lent.append((paying.budget_id, allowance_id))
            granted = AllowanceGranted(allowance_id=allowance_id, holder="host", amount_usd=LENT, expires_at=NOW)
            self._add(budget_stream(paying.budget_id, TOTAL.key), granted)

    def _settle(self) -> None:
        for budget_id, allowance_id in self._lent:
            settled = AllowanceSettled(
                allowance_id=allowance_id, spent_usd=self._spent, returned_usd=LENT - self._spent
            )
            self._add(budget_stream(budget_id, TOTAL.key), settled)
        self._lent, self._spent = [], ZERO

    def _hold(self, conversation_id: UUID, completion_id: UUID, attempt: int) -> None:
        for budget_id, allowance_id in self._lent:
            hold = HoldTaken(
                budget_id=budget_id,
                period_key=TOTAL.key,
                conversation_id=conversation_id,
                completion_id=completion_id,
                attempt=attempt,
                amount_usd=HOLD,
            )
            self._add(allowance_stream(allowance_id), hold)

    def _say(self, conversation_id: UUID, *events: object) -> None:
        for event in events:
            self._add(conversation_stream(conversation_id), event)

    def _add(self, stream: str, event: object) -> None:
        self._versions[stream] += 1
        metadata = Metadata(uuid4(), NOW, uuid4(), None, "tester", "default")
        self._rows.append(self._writer.codec.encode(stream, self._versions[stream], event, metadata))


def audit(database: ConnectionInfo) -> figures.Row:
    """Audit the log in a process of its own, so that its memory is nobody else's."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=audit_here, args=(database, there))
    process.start()
    there.close()  # so that a process that fails ends this one, too
    row: figures.Row = here.recv()
    process.join()
    return row


def audit_here(database: ConnectionInfo, there: Connection) -> None:
    there.send(asyncio.run(_audited(database)))


async def _audited(database: ConnectionInfo) -> figures.Row:
    async with AsyncConnectionPool(database.dsn, min_size=1, max_size=1) as pool:
        log = EventLog(pool, EventCodec(EventRegistry.default()))
        await log.read(0, 1000)  # what a page takes is not what the audit keeps
        prices = OverridePriceBook({}, otherwise=GenaiPriceBook({}, SystemClock()))
        memory = psutil.Process().memory_info
        taken = [memory().rss]
        began, cpu = time.perf_counter(), time.process_time()
        result = await AuditMoney(log, BudgetStreams(), prices)(lambda *_: taken.append(memory().rss))
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    if result.differences:
        raise SystemExit(f"The audit found differences: {result.differences[:3]}")
    return {
        "events": result.position,
        "calls": result.calls,
        "seconds": seconds,
        "events_per_s": result.position / seconds,
        "cpu_us_an_event": busy / result.position * 1e6,
        "memory_mb": max(taken) / 2**20,
        "more_than_before_mb": (max(taken) - taken[0]) / 2**20,
    }


if __name__ == "__main__":
    main()
