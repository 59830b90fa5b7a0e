"""Usage: how fast it is rebuilt, beside the cost ledger, and how fast a report of a month is.

``python benchmarks/usage.py [calls]`` needs nothing and takes half a minute; it stores the calls of ``ledger.py``.
"""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg_pool import AsyncConnectionPool

import figures
from ledger import CALLS, Log
from projection import rebuild
from send2llm.application.costs import CostFilter
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.infrastructure.read_models.statements import PresentTables
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.read_models.usage_queries import PostgresUsage
from send2llm.testing.event_writer import EventWriter
from send2llm.testing.postgres import TestDatabaseServer

GROUPS_A_DAY, DAYS = 40, 30


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("calls", nargs="?", type=int, default=4 * CALLS)
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
                rebuilt = rebuild(database, connection, log.events, UsageProjection)
                figures.tell("Rebuild of the usage", [rebuilt], given.figures)
                connection.execute(_A_MONTH)
            figures.tell("Report of a month", [asyncio.run(report(database))], given.figures)
    finally:
        shutil.rmtree(folder)


async def report(database: ConnectionInfo) -> figures.Row:
    """By model and day, of as many rows as a busy month leaves."""
    async with AsyncConnectionPool(database.dsn, min_size=1, max_size=1) as pool:
        usage = PostgresUsage(PresentTables(pool))
        began = time.perf_counter()
        lines = await usage.usage(["day", "model"], CostFilter(), "Europe/Berlin")
        seconds = time.perf_counter() - began
    return {"rows": 96 * DAYS * GROUPS_A_DAY, "lines": len(lines), "seconds": seconds}


_A_MONTH = f"""
INSERT INTO usage_v1_quarters
SELECT moment, provider, 'model ' || number, tenant, actor, calls, attempts, answered, failed, interrupted, refused,
    estimated, unpriced, input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens,
    reasoning_output_tokens, cache_write_1h_input_tokens, duration_us, streamed, first_token_us, cost_usd, assumed_usd,
    longest_duration_us, longest_first_token_us
FROM (SELECT * FROM usage_v1_quarters LIMIT 1) AS one, generate_series(1, {GROUPS_A_DAY}) AS number,
    generate_series(quarter - interval '{DAYS} days', quarter - interval '15 minutes', '15 minutes') AS moment
""".encode()


if __name__ == "__main__":
    main()
