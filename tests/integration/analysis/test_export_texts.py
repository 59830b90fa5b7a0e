"""What an export knows of what was said: nothing that was erased, and nothing that confirms a guess."""

from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import psycopg
from exports import calls_in, export, exported, stored
from stored_calls import KEYS, Asking

from send2llm.domain.conversation_events import ConversationErased
from send2llm.infrastructure.analysis.export import Export
from send2llm.infrastructure.analysis.exported_log import ExportedLog
from send2llm.infrastructure.analysis.stored_log import StoredLog
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, received, requested, said


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
