"""How every rate changes as the log grows: 100,000 events, a million, ten millions.

``python benchmarks/growth.py [--sizes 100000 1000000] [--trace FILE ...]``. Sizes are in events and grow in place. Up
to a million the events are made one by one (``trace_calls.py``); a size ten times the one before is told again by SQL.
A million takes a quarter of an hour. ``--longest`` bounds each rebuild: whatever was folded by then is what is told.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import figures
from growth_rates import command, compare, load, rebuild, seal, size_of, some_conversations, verify
from growth_service import look_at_service
from send2llm.application.projections import Projection
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.infrastructure.read_models.trail import TrailProjection
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.testing.postgres import TestDatabaseServer
from trace_calls import TraceCalls

SIZES = (100_000, 1_000_000)
MADE = 1_000_000
"""Events that are made one by one; to make more would take longer than to measure them."""

PROJECTIONS: Sequence[type[Projection]] = (
    CostLedgerProjection,
    UsageProjection,
    HistoryProjection,
    TrailProjection,
)
EVENTS_A_CALL = 3.72

Measured = dict[str, object]


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="EVENTS")
    options.add_argument("--trace", type=Path, nargs="+", default=(), metavar="FILE", help="times and tokens, as CSV")
    options.add_argument("--longest", type=float, default=600.0, help="seconds that a rebuild may take")
    options.add_argument("--without", nargs="+", default=(), metavar="WHAT", help="such as export, replay")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="send2llm-bench-"))
    folder.chmod(0o755)
    found: dict[int, Measured] = {}
    try:
        with TestDatabaseServer(folder, durable=True) as server:
            database = server.create_database()
            migrate(database)
            log = TraceCalls(given.trace)
            for size in given.sizes:
                grow(log, database, size)
                found[log.events] = measured = {}
                measure(database, folder, log.events, given, measured)
                figures.tell("As the log grows", table(found), given.figures)
    finally:
        shutil.rmtree(folder)


def grow(log: TraceCalls, database: ConnectionInfo, size: int) -> None:
    began = time.perf_counter()
    while log.events < 0.9 * size:
        if log.events < MADE // 2 or 10 * log.events > 1.2 * size:
            log.fill(database, int((min(size, MADE) - log.events) / EVENTS_A_CALL))
        else:
            log.tell_again(database)
    print(f"{log.events:,} events are stored, after {time.perf_counter() - began:.0f} s more")


def measure(database: ConnectionInfo, folder: Path, events: int, given: argparse.Namespace, measured: Measured) -> None:
    """Take all measures of a log of that length; each is told at once, since all of them take long."""
    parts: Mapping[str, Callable[[], Mapping[str, object]]] = {
        "size": lambda: {"the events, GB": size_of(database, "stored_events")},
        **{
            kind.name: lambda kind=kind: rebuild(database, events, kind, given.longest)  # type: ignore[misc] # mypy knows no defaults
            for kind in PROJECTIONS
        },
        "compare": lambda: compare(database, "history"),
        "seal": lambda: seal(database, folder),
        "verify": lambda: verify(database),
        "export": lambda: command("export", database, folder, events, "export", f"export-{events}"),
        "replay": lambda: command("replay prices", database, folder, events, "replay", "prices"),
        "load": lambda: asyncio.run(load(database)),
        "service": lambda: look_at_service(database, folder, events, some_conversations(database, 1)[0]),
    }
    for name, part in parts.items():
        if name in given.without:
            continue
        told = part()
        measured |= told
        print(*(f"  {what}: {figures.shown(value)}" for what, value in told.items()), sep="\n", flush=True)


def table(found: Mapping[int, Measured]) -> Sequence[figures.Row]:
    """A line for each measure, a column for each size."""
    names = dict.fromkeys(name for measured in found.values() for name in measured)
    return [{"": name, **{f"{size:,} events": of.get(name) for size, of in found.items()}} for name in names]


if __name__ == "__main__":
    main()
