"""The history as Parquet: everything once, whatever happens on the way."""

import shutil
import subprocess
import sys
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from exports import calls_in, export, exported, stored
from stored_calls import Asking, seal_all

from send2llm.domain.conversation_events import ConversationStarted, MessageAdded
from send2llm.domain.errors import ConfigurationError, InvalidRequest
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.analysis import parts
from send2llm.infrastructure.analysis.exported_log import ExportedLog
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.event_writer import EventWriter, received, requested, said
from send2llm.testing.postgres import TestDatabaseServer

KILLED_AT_RENAME = """
import os, signal, sys
from pathlib import Path
from send2llm.infrastructure.analysis.export import Export
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo

left = int(sys.argv[3])

def hook(name, _):
    global left
    if name == "os.rename":
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

log = StoredLog(ConnectionInfo.parse(sys.argv[1]), TextKeys([bytes(32)]))
sys.addaudithook(hook)
Export(Path(sys.argv[2]), log, batch_events=1).run()
log.close()
"""


def test_every_event_and_every_call_is_there(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    answered, retried, failed, still_open = ask("a"), ask("bb", "retried"), ask("ccc", "failed"), ask("dddd", "")

    export(tmp_path, migrated)

    assert exported(tmp_path) == stored(migrated)
    calls = calls_in(tmp_path)
    assert calls.keys() == {str(answered), str(retried), str(failed)}
    assert str(still_open) not in calls
    one = calls[str(answered)]
    assert (one["provider"], one["model"], one["status"]) == ("echo", "parrot", "received")
    assert (one["input_tokens"], one["output_tokens"], one["cost_usd"]) == (12, 7, Decimal("0.000123"))
    assert (one["messages"], one["input_characters"], one["output_characters"]) == (1, 1, 22)
    assert (calls[str(retried)]["provider"], calls[str(retried)]["cost_usd"]) == ("other", Decimal("0.000124"))
    assert (calls[str(retried)]["failed_attempts_usd"], calls[str(retried)]["assumed"]) == (Decimal("0.000001"), "")
    assert (calls[str(failed)]["error"], calls[str(failed)]["cost_usd"]) == ("provider_error", 0)
    assert parts.days_of(tmp_path / "events") == ["2026-11-26", "2026-11-27"]
    assert parts.days_of(tmp_path / "calls") == ["2026-11-26"]


def test_a_second_run_adds_what_is_new(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    first = ask("first", "")
    export(tmp_path, migrated)
    assert calls_in(tmp_path) == {}
    before = parts.parts_of(tmp_path / "events")
    ask.answer(first)
    second = ask("second")

    export(tmp_path, migrated)
    export(tmp_path, migrated)

    assert calls_in(tmp_path).keys() == {str(first), str(second)}
    assert exported(tmp_path) == stored(migrated)
    assert set(before) < set(parts.parts_of(tmp_path / "events"))


def test_an_answer_that_came_after_all_takes_the_place_of_the_first_ending(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    gone, other = ask("slow", "written off"), ask("quick")
    export(tmp_path, migrated)
    assert calls_in(tmp_path)[str(gone)]["cost_usd"] == Decimal("0.5")
    ask.answer(gone)

    export(tmp_path, migrated)

    calls = calls_in(tmp_path)
    assert calls.keys() == {str(gone), str(other)}
    assert (calls[str(gone)]["status"], calls[str(gone)]["cost_usd"]) == ("received", Decimal("0.000123"))


def test_killed_wherever_it_is_nothing_is_missing_and_nothing_twice(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    gone = ask("slow", "written off")
    ended = {str(ask(f"question {n}", end)) for n, end in enumerate(["received", "failed"] * 3)}
    export(folder, migrated)
    ask.answer(gone)
    ended |= {str(gone), *(str(ask(f"question {n}")) for n in range(6, 12))}

    for rename in count(1):
        command = [sys.executable, "-c", KILLED_AT_RENAME, migrated.dsn, str(folder), str(rename)]
        code = subprocess.run(command, check=False).returncode
        if code == 0:
            break
        assert code == -9
        ended.add(str(ask(f"meanwhile {rename}")))  # so the next run has another batch, and writes other files

    assert rename > 4
    assert exported(folder) == stored(migrated)
    assert calls_in(folder).keys() == ended
    assert not list(folder.glob("**/.*unfinished"))


def test_the_transcript_of_a_conversation_that_goes_on_is_whole(
    migrated: ConnectionInfo, writer: Any, tmp_path: Path
) -> None:
    conversation, first, second, repeated = (UUID(int=n) for n in range(1, 5))
    writer.write(conversation, ConversationStarted(), said("Hello!"), requested(first), received(first, "Hi."))
    export(tmp_path, migrated)
    writer.write(conversation, said("Who are you?"), requested(second), received(second))
    told = [said("Hello!"), MessageAdded(message=Message("assistant", (TextPart("Hi."),))), said("Who are you?")]
    writer.write(UUID(int=5), ConversationStarted(), *told, requested(repeated), received(repeated))

    export(tmp_path, migrated)

    calls = calls_in(tmp_path)
    one, other = calls[str(second)], calls[str(repeated)]
    assert (one["messages"], one["input_characters"]) == (3, 21)
    assert one["request_digest"] == other["request_digest"] != calls[str(first)]["request_digest"]


def test_the_export_of_an_empty_log_is_one(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    export(tmp_path, migrated)
    found = ExportedLog(tmp_path).verify()
    assert (found.fault, found.events) == ("", 0)

    ask("one")
    export(tmp_path, migrated)
    shutil.rmtree(tmp_path / "events")
    with pytest.raises(InvalidRequest, match="no exported events"):
        ExportedLog(tmp_path)


def test_a_folder_with_something_else_is_refused(
    migrated: ConnectionInfo, postgres_server: TestDatabaseServer, ask: Asking, tmp_path: Path
) -> None:
    ask("one")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="no export"):
        export(tmp_path, migrated)
    export(tmp_path / "export", migrated)
    other = postgres_server.create_database()
    migrate(other)
    with EventWriter(other) as writer:
        Asking(writer)("of another log")
    with pytest.raises(ConfigurationError, match="another log"):
        export(tmp_path / "export", other)
    postgres_server.drop(other)


def restore(database: ConnectionInfo, position: int, seal: int) -> None:
    """The log is again what it was when it had come to this position and seal, as after a restore from a backup."""
    with psycopg.connect(database.dsn) as connection:
        for table in ("stored_events", "log_seals"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connection.execute("DELETE FROM stored_events WHERE notification_id > %s", [position])
        connection.execute("DELETE FROM log_seals WHERE number > %s", [seal])
        connection.execute("SELECT setval(pg_get_serial_sequence('stored_events', 'notification_id'), %s)", [position])


@pytest.mark.parametrize("calls", [0, 1, 2, 3], ids=lambda calls: f"{calls} calls since")
def test_what_the_log_had_before_it_was_restored_is_not_gone_on_with(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path, calls: int
) -> None:
    ask("in the backup")
    backed_up = stored(migrated)[-1][0]
    ask("lost")
    ask("lost, too")
    export(tmp_path, migrated)
    before = exported(tmp_path)
    restore(migrated, backed_up, 0)
    for n in range(calls):
        ask(f"after the restore {n}")

    with pytest.raises(ConfigurationError, match=r"restored from a backup.*Export into another folder"):
        export(tmp_path, migrated)

    assert exported(tmp_path) == before


def test_seals_that_were_made_anew_after_a_restore_are_not_mixed_with_the_old_ones(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    """The backup has all exported events and not yet their seal, and the seal that is made then reaches further."""
    key = SealingKey.generate()
    ask("in the backup")
    seal_all(migrated, key)
    export(tmp_path / "young", migrated)
    restore(migrated, stored(migrated)[-1][0], 0)
    for n in range(2):
        with pytest.raises(ConfigurationError, match="restored from a backup"):
            export(tmp_path / "young", migrated)
        ask(f"after the restore {n}")
        seal_all(migrated, key)
