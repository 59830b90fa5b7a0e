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

import psutil

import figures
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.prices.genai import VERSION
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
CHEAPEST = ("--to", "openai/gpt-4o-mini", "--to", "gemini/gemini-2.5-flash", "--to", "anthropic/claude-sonnet-4-5")
REPLAYS = {
    "other prices": ("prices", "--by", "day"),
    "a version's prices": ("prices", "--price-version", VERSION),
    "another route": ("route", "--to", "openai/gpt-4o-mini"),
    "the cheapest of three": ("route", "--strategy", "cheapest", *CHEAPEST),
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
            commands = Commands(database, folder, given.calls)
            rows = [commands.run("export", "export", "history")]
            rows.append(commands.run("export, nothing new", "export", "history"))
            for name, command in REPLAYS.items():
                for where in ((), ("--export", "history")):
                    title = f"{name}, from {'the export' if where else 'the store'}"
                    rows.append(commands.run(title, "replay", *command, *where))
            figures.tell(f"{given.calls:,} calls in {log.events:,} events", rows, given.figures)
    finally:
        shutil.rmtree(folder)


class Commands:
    """Runs commands on a database; how long each took, its own processor time and PostgreSQL's, its largest memory."""

    def __init__(self, database: ConnectionInfo, folder: Path, calls: int) -> None:
        self._environment = {**os.environ, "SEND2LLM_DATABASE_URL": database.dsn}
        self._folder = folder
        self._calls = calls
        (pid_file,) = folder.rglob("postmaster.pid")
        self._postgres = psutil.Process(int(pid_file.read_text().split()[0]))

    def run(self, title: str, *command: str) -> figures.Row:
        program = [sys.executable, "-c", "from send2llm.interfaces.cli import main; main()"]
        before = self._postgres_seconds()
        began = time.perf_counter()
        said = self._folder / "said.txt"
        with said.open("wb") as notes:
            process = subprocess.Popen(
                [*program, *command], cwd=self._folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=notes
            )
            _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{title} failed: {said.read_text('utf-8')}")
        return {
            "what": title,
            "seconds": seconds,
            "calls/s": self._calls / seconds,
            "processor_s": used.ru_utime + used.ru_stime,
            "postgres_s": self._postgres_seconds() - before,
            "memory_MiB": used.ru_maxrss // MEBIBYTE_IN_KILOBYTES,
        }

    def _postgres_seconds(self) -> float:
        """Of all its processes that have ended: a command's are among them when it has ended."""
        times = self._postgres.cpu_times()
        return float(times.children_user + times.children_system)


if __name__ == "__main__":
    main()
