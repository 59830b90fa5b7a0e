"""Runs the benchmarks one after the other and prints their tables: ``make bench``, about five minutes.

With ``--save`` the figures go to ``benchmarks/results/<date>.json``, with the machine and how busy others kept it:
``make bench ARGS=--save``. ``--only gateway,turns`` runs some of them.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

import machine

HERE = Path(__file__).parent
BENCHMARKS: dict[str, tuple[str, ...]] = {
    # By name: the script and its options.
    "gateway": ("gateway.py",),
    "budgets": ("budgets.py",),
    "where": ("where.py",),
    "where-stream": ("where.py", "--stream"),
    "turns": ("turns.py",),
    "append": ("append.py", "--seconds", "1.5"),
    "conversations": ("conversations.py",),
    "projection": ("projection.py",),
    "ledger": ("ledger.py",),
    "replay": ("replay.py", "5000"),
    "usage": ("usage.py",),
    "as-of": ("as_of.py", "5000"),
    "feed": ("feed.py",),
}
LONGEST = 120.0
"""Seconds that one of them may take before it is ended."""


def run(name: str) -> dict[str, Any]:
    """Run one; what it told."""
    print(f"\n== {name} ==", flush=True)
    script, *options = BENCHMARKS[name]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        process = subprocess.Popen([sys.executable, str(HERE / script), *options, "--figures", str(file)])
        try:
            status = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # so that it ends and removes what it made
            process.wait()
            raise SystemExit(f"{name} took more than {LONGEST:g} seconds.") from None
        if status:
            raise SystemExit(f"{name} failed.")
        found: dict[str, Any] = orjson.loads(file.read_bytes())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"some of {', '.join(BENCHMARKS)}, separated by commas")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<date>.json")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        busy = machine.busy()
        if busy > machine.QUIET:
            print(f"\nOthers use {busy:.2f} processors now: the figures will be worse than the machine can do.")
        found = run(name)
        if given.save:
            save(name, {"time": datetime.now(UTC), "others_cpus_before": busy, "figures": found})


def save(name: str, measurement: dict[str, Any]) -> None:
    """Add to the day's file; a benchmark that was run again that day replaces its figures."""
    file = HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}.json"
    file.parent.mkdir(exist_ok=True)
    saved = orjson.loads(file.read_bytes()) if file.exists() else {}
    saved |= {"machine": machine.description(), name: measurement}
    file.write_bytes(orjson.dumps(saved, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
