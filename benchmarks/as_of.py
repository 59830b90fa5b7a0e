"""The past: how long reports take as of the end of the log, a hundredth before it, its middle, and its first tenth.

``python benchmarks/as_of.py [calls]`` needs nothing and takes a minute; it stores the calls of ``ledger.py`` and builds
the read models first. 160,000 calls are a million events, and take a quarter of an hour.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

import figures
from ledger import CALLS, Log
from send2llm.application.costs import CostFilter
from send2llm.application.moments import Moment, Moments
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.infrastructure.read_models.reports_as_of import PostgresReportsAsOf
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.system import SystemClock
from send2llm.testing.event_writer import EventWriter
from send2llm.testing.postgres import TestDatabaseServer

PROJECTIONS = (CostLedgerProjection(), HistoryProjection(), UsageProjection())
_BUILT = (
    b"SELECT count(*) FROM projection_checkpoints WHERE position = (SELECT max(notification_id) FROM stored_events)"
)
_BATCH = 10_000


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
            with EventWriter(database) as writer:
                log = Log(writer)
                for calls in range(0, given.calls, _BATCH):
                    log.fill(min(_BATCH, given.calls - calls))
                build(database, writer)
                figures.tell("Reports as of", asyncio.run(reports(database, writer, log.events)), given.figures)
    finally:
        shutil.rmtree(folder)


def build(database: ConnectionInfo, writer: EventWriter) -> None:
    """Wait until the read models have taken everything in."""
    with (
        Projector(database, PROJECTIONS, writer.codec).running(),
        psycopg.connect(database.dsn, autocommit=True) as connection,
    ):
        while connection.execute(_BUILT).fetchone() != (len(PROJECTIONS),):
            time.sleep(0.2)
        connection.execute("VACUUM ANALYZE")


async def reports(database: ConnectionInfo, writer: EventWriter, events: int) -> list[figures.Row]:
    """Each of them, as of each position; and how long it takes to find the position of a time."""
    past = PostgresReportsAsOf(ProjectionsAsOf(database, writer.codec))
    async with AsyncConnectionPool(database.dsn, kwargs={"autocommit": True}, min_size=1, open=False) as pool:
        moments = Moments(EventLog(pool, writer.codec), SystemClock())
        rows = [await timed("a time", events, lambda: moments.time(datetime.now(UTC)))]
    for position in (events, events * 99 // 100, events // 2, events // 10):
        for name, ask in asked(past, Moment(position, datetime.now(UTC))):
            rows.append(await timed(name, position, ask))
    return rows


def asked(past: PostgresReportsAsOf, moment: Moment) -> Iterator[tuple[str, Callable[[], Awaitable[Any]]]]:
    yield "costs", lambda: past.costs(moment).costs(["provider"], CostFilter())
    yield "conversations", lambda: past.history(moment).conversations(limit=20)
    yield "usage", lambda: past.usage(moment).usage(["provider"], CostFilter())


async def timed(name: str, position: int, ask: Callable[[], Awaitable[Any]]) -> figures.Row:
    began, cpu = time.perf_counter(), time.process_time()
    await ask()
    return {
        "report": name,
        "position": position,
        "seconds": time.perf_counter() - began,
        "own_cpu_s": time.process_time() - cpu,
    }


if __name__ == "__main__":
    main()
