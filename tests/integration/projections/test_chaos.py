"""The chaos trial in small: everything is killed over and over, and every event is folded once."""

import subprocess
import sys
from pathlib import Path

import pytest

TRIAL = Path(__file__).parents[3] / "benchmarks" / "chaos" / "trial.py"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_event_is_lost_passed_by_or_counted_twice() -> None:
    command = [sys.executable, TRIAL, "--seconds", "15"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "no fault" in ended.stdout
