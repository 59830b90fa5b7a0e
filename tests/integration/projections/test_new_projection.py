"""The test that comes with a new projection runs, and passes; and it says why when it does not."""

import subprocess
import sys
from pathlib import Path

from send2llm.interfaces.cli.new_projection import write_projection
from send2llm.testing.postgres import TestDatabaseServer


def run_tests_in(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(folder)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=folder,
    )


def test_the_test_that_comes_along_passes(tmp_path: Path, postgres_server: TestDatabaseServer) -> None:
    write_projection("answers_by_model", tmp_path)

    run = run_tests_in(tmp_path)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout


def test_a_fold_that_raises_is_what_the_test_tells(tmp_path: Path, postgres_server: TestDatabaseServer) -> None:
    file, _ = write_projection("answers_by_model", tmp_path)
    file.write_text(file.read_text().replace("recorded.event.cost_usd", "recorded.event.cost_eur"))

    run = run_tests_in(tmp_path)

    assert run.returncode == 1, run.stdout + run.stderr
    assert "The projection failed at event 1: AttributeError: 'CompletionReceived'" in run.stdout
