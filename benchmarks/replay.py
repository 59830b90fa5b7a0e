"""A long history as files, and what it would have cost: rates, and memory.

``python benchmarks/replay.py [calls] [--trace FILE ...]`` needs nothing; 100,000 calls take two minutes. The store is
filled by ``trace_calls.py``. Every command runs in a process of its own, as its users run it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import figures
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.postgres import TestDatabaseServer
from trace_calls import TraceCalls

CALLS = 100_000
CAPS = """
[[budgets]]
provider = "anthropic"
limit_usd = "20"
period = "day"

[[budgets]]
limit_usd = "2"
period = "hour"
"""
REPLAYS = {
    "other prices": ("prices", "--by", "day"),
    "another route": ("route", "--to", "openai/gpt-4o-mini"),
    "other budgets": ("budgets", "caps.toml"),
    "a cache": ("cache", "--seconds", "3600"),
}
MEBIBYTE_IN_KILOBYTES = 1024


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("calls", nargs="?", type=int, default=CALLS)
    options.add_argument("--trace", type=Path, nargs="+", default=(), metavar="FILE", help="times and tokens, as CSV")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="send2llm-bench-"))
    folder.chmod(0o755)
    try:
        with TestDatabaseServer(folder, durable=True) as server:
            database = server.create_database()
            migrate(database)
            log = TraceCalls(given.trace)
            began = time.perf_counter()
            log.fill(database, given.calls)
            print(f"stored {log.events:,} events in {time.perf_counter() - began:.1f} s")
            (folder / "caps.toml").write_text(CAPS)
            rows = [
                run("export", database, folder, given.calls, "export", "history"),
                run("export, nothing new", database, folder, given.calls, "export", "history"),
            ]
            for name, command in REPLAYS.items():
                for where in ((), ("--export", "history")):
                    title = f"{name}, from {'the export' if where else 'the store'}"
                    rows.append(run(title, database, folder, given.calls, "replay", *command, *where))
            figures.tell(f"{given.calls:,} calls in {log.events:,} events", rows, given.figures)
    finally:
        shutil.rmtree(folder)


def run(title: str, database: ConnectionInfo, folder: Path, calls: int, *command: str) -> figures.Row:
    """Run a command; how long it took, its processor time, and its largest resident memory."""
    environment = {**os.environ, "SEND2LLM_DATABASE_URL": database.dsn}
    program = [sys.executable, "-c", "from send2llm.interfaces.cli import main; main()"]
    began = time.perf_counter()
    said = folder / "said.txt"
    with said.open("wb") as notes:
        process = subprocess.Popen(
            [*program, *command], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=notes
        )
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{title} failed: {said.read_text('utf-8')}")
    return {
        "what": title,
        "seconds": seconds,
        "calls/s": calls / seconds,
        "processor_s": used.ru_utime + used.ru_stime,
        "memory_MiB": used.ru_maxrss // MEBIBYTE_IN_KILOBYTES,
    }


if __name__ == "__main__":
    main()
