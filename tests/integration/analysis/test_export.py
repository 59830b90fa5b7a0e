"""The history as Parquet: everything once, whatever happens on the way."""

import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyarrow.parquet as pq
import pytest
from stored_calls import KEYS, Asking, seal_all

from send2llm.domain.conversation_events import ConversationErased, ConversationStarted, MessageAdded
from send2llm.domain.errors import ConfigurationError, InvalidRequest
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.analysis import parts, schemas
from send2llm.infrastructure.analysis.export import Export
from send2llm.infrastructure.analysis.exported_log import ExportedLog
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.event_store.text_keys import TextKeys
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


def export(folder: Path, database: ConnectionInfo, batch_events: int = 50_000) -> None:
    with closing(StoredLog(database, KEYS)) as log:
        Export(folder, log, batch_events=batch_events).run()


def calls_in(folder: Path) -> dict[str, dict[str, Any]]:
    rows = [row for part in parts.parts_of(folder / "calls") for row in pq.ParquetFile(part).read().to_pylist()]
    assert len({row["completion"] for row in rows}) == len(rows)
    return {row["completion"]: row for row in rows}


def stored(database: ConnectionInfo) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.dsn) as connection:
        return connection.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events"
            " ORDER BY notification_id"
        ).fetchall()


def exported(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row[:5]) for row in ExportedLog(folder).rows()]


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


def test_the_files_are_verified_with_the_public_key_alone(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    key = SealingKey.generate()
    for n in range(5):
        ask(f"question {n}")
    seal_all(migrated, key)
    ask("not sealed yet", "", at=datetime.now(UTC))
    export(tmp_path, migrated, batch_events=1)

    found = ExportedLog(tmp_path).verify(trusted=[key.public])
    assert (found.fault, found.events, found.unsealed) == ("", 20, 3)
    other = ExportedLog(tmp_path).verify(trusted=[SealingKey.generate().public])
    assert "not trusted" in other.fault


@pytest.mark.parametrize(("column", "value"), [("state", b"{}"), ("topic", "x"), ("tenant", "x"), ("data", "{}")])
def test_a_changed_file_is_found(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path, column: str, value: object
) -> None:
    ask("one")
    ask("two")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    part = parts.parts_of(tmp_path / "events")[0]
    rows = pq.ParquetFile(part).read().to_pylist()
    rows[1][column] = value
    parts.write_rows(part, [tuple(row.values()) for row in rows], schemas.EVENTS)

    found = ExportedLog(tmp_path).verify()

    assert found.fault
    assert found.position == 2


@pytest.mark.parametrize(
    "place",
    [
        "events/day=2026-11-26/extra.parquet",
        "events/day=2026-11-26/.extra.PARQUET",
        "events/day=2026-11-26/part-1.parquet",
        "events/day=2026-11-26/deeper/extra.parquet",
        "events/extra",
        "seals/extra.parquet",
        "calls/day=2026-11-26/extra.parquet",
        "extra.parquet",
        "more/.extra.PARQUET",
    ],
)
def test_a_file_that_others_would_count_is_found(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path, place: str
) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    (tmp_path / "events" / ".DS_Store").touch()
    (tmp_path / "README").touch()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    assert ExportedLog(tmp_path).verify().fault == ""

    shutil.copyfile(parts.parts_of(tmp_path / "events")[0], tmp_path / place)

    assert str(tmp_path / place) in ExportedLog(tmp_path).verify().fault


def test_a_part_that_is_there_twice_is_found(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    (part, *_) = parts.parts_of(tmp_path / "events")
    shutil.copytree(part.parent, part.parent.with_name("day=2020-01-01"))

    assert ExportedLog(tmp_path).verify().fault == "Two events stand at one position."


def test_a_folder_that_is_a_link_is_found(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    (part, *_) = parts.parts_of(tmp_path / "events")
    again = part.parent.with_name("day=2020-01-01")
    again.symlink_to(part.parent, target_is_directory=True)

    assert str(again) in ExportedLog(tmp_path).verify().fault
    again.rename(tmp_path / "beside")
    assert str(tmp_path / "beside") in ExportedLog(tmp_path).verify().fault


@pytest.mark.parametrize("change", ["day", "positions"])
def test_a_part_for_another_day_or_other_positions_is_found(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path, change: str
) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    *_, part = parts.parts_of(tmp_path / "events")
    if change == "day":
        part.parent.rename(part.parent.with_name("day=2020-01-01"))
    else:
        part.rename(part.with_name(parts.name_of(2, 3)))

    found = ExportedLog(tmp_path).verify()

    assert "for another day or for other positions" in found.fault
    assert found.position == 4


def test_events_that_tell_no_time_lie_where_those_before_them_do(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    unreadable = "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES (%s, 1, 't', 'x')"
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute(unreadable, ["before"])
        ask("one")
        connection.execute(unreadable, ["after"])
    seal_all(migrated, SealingKey.generate())

    for batch in (50_000, 1):
        export(tmp_path / str(batch), migrated, batch)
        assert ExportedLog(tmp_path / str(batch)).verify().fault == ""


def test_an_export_without_its_seals_was_not_verified(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    shutil.rmtree(tmp_path / "seals")

    assert "Nothing is sealed" in ExportedLog(tmp_path).verify().fault


def test_the_export_of_an_empty_log_is_one(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    export(tmp_path, migrated)
    found = ExportedLog(tmp_path).verify()
    assert (found.fault, found.events) == ("", 0)

    ask("one")
    export(tmp_path, migrated)
    shutil.rmtree(tmp_path / "events")
    with pytest.raises(InvalidRequest, match="no exported events"):
        ExportedLog(tmp_path)


def test_a_removed_file_is_found(migrated: ConnectionInfo, ask: Asking, tmp_path: Path) -> None:
    ask("one")
    seal_all(migrated, SealingKey.generate())
    export(tmp_path, migrated)
    parts.parts_of(tmp_path / "events")[-1].unlink()

    assert "cut off" in ExportedLog(tmp_path).verify().fault


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


def test_texts_that_are_encrypted_leave_the_store_with_nobody(
    migrated: ConnectionInfo, writer: EventWriter, ask: Asking, tmp_path: Path
) -> None:
    ask("a secret")
    export(tmp_path, migrated)
    told = "".join(f"{row.data}{row.state!r}" for row in ExportedLog(tmp_path).rows())
    assert ("a secret" in told) == (writer.codec.keys is None)


def test_what_was_said_in_erased_conversations_is_not_known(migrated: ConnectionInfo, tmp_path: Path) -> None:
    with EventWriter(migrated, KEYS) as writer:
        calls = []
        for _ in range(2):
            conversation, call = uuid4(), uuid4()
            calls.append(str(call))
            writer.write(conversation, said("the same question"), requested(call), received(call))
            writer.write(conversation, ConversationErased())
    export(tmp_path, migrated)
    rows = calls_in(tmp_path)
    assert rows.keys() == set(calls)
    for row in rows.values():
        assert (row["input_characters"], row["output_characters"], row["request_digest"]) == (None, None, None)
        assert (row["messages"], row["input_tokens"], row["cost_usd"]) == (1, 12, Decimal("0.000123"))
    assert exported(tmp_path) == stored(migrated)


def test_what_the_keys_do_not_open_is_not_known_and_counted(migrated: ConnectionInfo, tmp_path: Path) -> None:
    """A key that was lost, one that was put in another's place, and a text that was changed."""
    with EventWriter(migrated, KEYS) as writer:
        conversations, calls = [uuid4() for _ in range(4)], [uuid4() for _ in range(4)]
        for conversation, call in zip(conversations, calls, strict=True):
            writer.write(conversation, said("the same question"), requested(call), received(call))
    lost, swapped, changed, whole = (f"conversation-{conversation}" for conversation in conversations)
    with psycopg.connect(migrated.dsn) as connection:
        connection.execute(
            "UPDATE conversation_keys SET wrapped = (SELECT wrapped FROM conversation_keys WHERE originator_id = %s)"
            " WHERE originator_id = %s",
            (whole, swapped),
        )
        connection.execute("DELETE FROM conversation_keys WHERE originator_id = %s", (lost,))
        connection.execute("ALTER TABLE stored_events DISABLE TRIGGER stored_events_append_only")
        connection.execute(
            "UPDATE stored_events SET state = overlay(state PLACING 'AAAA' FROM octet_length(state) - 40)"
            " WHERE originator_id = %s AND originator_version = 1",
            (changed,),
        )
    log = StoredLog(migrated, KEYS)
    Export(tmp_path, log).run()
    log.close()
    assert log.unreadable == {lost, swapped, changed}
    rows = [calls_in(tmp_path)[str(call)] for call in calls]
    assert [row["request_digest"] is None for row in rows] == [True, True, True, False]
    assert {row["cost_usd"] for row in rows} == {Decimal("0.000123")}
    assert len(exported(tmp_path)) == 12


def test_an_export_confirms_no_guess(migrated: ConnectionInfo, tmp_path: Path) -> None:
    """Whoever guesses what was asked, and stores and exports the same, gets another digest without the master key."""
    digests = []
    for name, keys in (("one", KEYS), ("again", KEYS), ("another", TextKeys.generate()), ("none", None)):
        with EventWriter(migrated, keys) as writer:
            call = uuid4()
            writer.write(uuid4(), said("yes or no?"), requested(call), received(call))
        log = StoredLog(migrated, keys)
        Export(tmp_path / name, log).run()
        log.close()
        digests.append(calls_in(tmp_path / name)[str(call)]["request_digest"])
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_without_the_master_key_all_but_the_texts_is_exported(
    migrated: ConnectionInfo, ask: Asking, tmp_path: Path
) -> None:
    call = str(ask("a secret"))
    log = StoredLog(migrated, None)
    Export(tmp_path, log).run()
    log.close()
    assert calls_in(tmp_path)[call]["input_tokens"] == 12
