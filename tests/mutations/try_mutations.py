"""Breaks the code on purpose, one way after the other, and tells whether the tests that watch over it see it.

``python tests/mutations/try_mutations.py [words of a name ...]`` takes some fifteen minutes for all. It works on a copy
of the package; exits with 1 when a test passes that should fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from catalogue import PACKAGE, PROJECT, Mutation, mutations

LONGEST = 900.0
"""Seconds for tests; what hangs does not pass either."""


def main(words: Sequence[str]) -> None:
    chosen = [mutation for mutation in mutations() if all(word in mutation.name for word in words)]
    if not chosen:
        sys.exit("No mutation has all these words in its name.")
    tests = sorted({test for mutation in chosen for test in mutation.tests})
    with tempfile.TemporaryDirectory() as folder:
        source = _copied(Path(folder))
        if not _pass(tests, source):
            sys.exit("Some of the tests fail as it is.")
    blind: list[str] = []
    for mutation in chosen:
        unseen = tried(mutation)
        print(f"{'NOT SEEN' if unseen else 'seen':8}  {mutation.name}", flush=True)  # noqa: T201 - what it is for
        blind += [f"{test} passes though {mutation.name}" for test in unseen]
    sys.exit("\n".join(blind) or None)


def tried(mutation: Mutation) -> Sequence[str]:
    """Those of the tests that do not see it."""
    with tempfile.TemporaryDirectory() as folder:
        source = _copied(Path(folder))
        for edit in mutation.edits:
            if not edit.fits(source / PACKAGE.name):
                raise SystemExit(f"{mutation.name}: {edit.before!r} is not in {edit.file}.")
            edit.make(source / PACKAGE.name)
        return [test for test in mutation.tests if _pass([test], source)]


def _copied(folder: Path) -> Path:
    source = folder / "src"
    shutil.copytree(PROJECT / PACKAGE, source / PACKAGE.name)
    return source


def _pass(tests: Sequence[str], source: Path) -> bool:
    """False when one fails, by an assertion or because it hangs; an error of its surroundings ends all."""
    report = source.parent / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", f"--junitxml={report}", *tests]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    try:
        ended = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if ended.returncode == 0:
        return True
    suite = ElementTree.parse(report).getroot().find("testsuite") if report.exists() else None
    if suite is None or suite.get("failures") == "0":
        raise SystemExit(f"{tests} could not be run:\n{ended.stdout}{ended.stderr}")
    return False


if __name__ == "__main__":
    main(sys.argv[1:])
