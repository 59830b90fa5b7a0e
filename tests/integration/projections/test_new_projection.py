"""The test that comes with a new projection runs, and passes."""

import subprocess
import sys
from pathlib import Path

from send2llm.interfaces.cli.new_projection import write_projection
from send2llm.testing.postgres import TestDatabaseServer


def test_the_test_that_comes_along_passes(tmp_path: Path, postgres_server: TestDatabaseServer) -> None:
    write_projection("answers_by_model", tmp_path)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout
