"""The dump of ``docs/erasure.md`` that nobody can read without the master key."""

import re
import shlex
import subprocess
from pathlib import Path

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.postgres.server_binaries import ServerBinaries

PAGE = Path(__file__).parents[3] / "docs" / "erasure.md"


def test_it_has_the_events_and_keys_and_nothing_that_tells_or_confirms_a_text(migrated: ConnectionInfo) -> None:
    command = re.search(r"\$ pg_dump (.*)", PAGE.read_text("utf-8"))
    assert command is not None
    words = [word for word in shlex.split(command[1]) if not word.startswith(("$", "--format", "--file"))]
    dump = subprocess.run(
        [ServerBinaries.installed().program("pg_dump"), migrated.dsn, *words],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    tables = set(re.findall(r"^CREATE TABLE public\.(\w+)", dump, re.MULTILINE))
    filled = set(re.findall(r"^COPY public\.(\w+)", dump, re.MULTILINE))
    assert {"stored_events", "conversation_keys"} <= filled
    assert {name for name in tables - filled if not name.startswith("history_v")} == {"conversation_heads"}
    assert any(name.startswith("history_v") for name in tables)
    assert not any(name.startswith("history_v") for name in filled)
