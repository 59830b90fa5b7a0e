"""The overspend trial in small: processes that are killed and paused, and no budget costs more than its cap."""

import subprocess
import sys
from pathlib import Path

TRIAL = Path(__file__).parents[2] / "benchmarks" / "overspend" / "trial.py"


def test_no_budget_costs_more_than_its_cap() -> None:
    sizes = {"--calls": 160, "--budgets": 4, "--ramp": 3, "--allowance": 1.5, "--max-tokens": 150}
    command = [sys.executable, TRIAL, *(str(part) for pair in sizes.items() for part in pair)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 of 1 trials without a fault" in ended.stdout
    figures = dict(line.strip().rsplit(None, 1) for line in ended.stdout.splitlines() if line.startswith("  "))
    assert figures["audit"] == "agrees"
    assert int(figures["answered"]) > 0
    assert int(figures["budgets that refused"]) > 0  # there was more to pay than the budgets had
