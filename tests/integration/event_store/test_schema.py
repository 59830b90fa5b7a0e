"""The schema is made once, whoever comes first, and takes no lock and no rights where it is complete."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from send2llm.infrastructure.event_store import schema
from send2llm.infrastructure.event_store.errors import EventStoreUnavailable
from send2llm.infrastructure.event_store.group_commit import Append


def test_many_processes_may_make_it_at_once(make_recorder, probe, new_events):
    with ThreadPoolExecutor(8) as pool:
        recorders = list(pool.map(lambda _: make_recorder(), range(8)))

    ids = [recorder.submit(Append(new_events())).result() for recorder in recorders]

    assert ids == [[number] for number in range(1, 9)]


def test_a_complete_schema_waits_for_nobody(recorder, probe):
    with probe.table_lock():
        recorder.create_table()


def test_a_session_without_rights_finds_it_complete(recorder, database, probe):
    role = f"{database.dbname}_reader"
    probe.connection.execute(f"CREATE ROLE {role}")
    try:
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute(f"SET ROLE {role}")
            recorder.schema.ensure(connection)
    finally:
        probe.connection.execute(f"DROP ROLE {role}")


def test_a_changed_function_is_replaced(recorder, probe, new_events):
    signature = recorder.schema.append_function.signature.as_string()
    before = probe.rows("SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure(%s)", signature)
    probe.connection.execute("ALTER FUNCTION stored_events_refuse_change() RENAME TO lost")

    recorder.create_table()

    assert probe.rows("SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure(%s)", signature) == before
    assert probe.rows("SELECT to_regprocedure('stored_events_refuse_change()') IS NOT NULL") == [(True,)]


FIRST_PLACE = "SELECT convalidated FROM pg_constraint WHERE conname = 'stored_events_first_place'"
INSERT_BEFORE = "INSERT INTO stored_events (originator_id, originator_version, notification_id) VALUES ('s', 1, -5)"


def test_a_table_of_an_earlier_version_takes_nothing_before_the_first_position(recorder, probe):
    """Not even where somebody has put something there: that is for verification to tell."""
    probe.connection.execute("ALTER TABLE stored_events DROP CONSTRAINT stored_events_first_place")
    probe.connection.execute(INSERT_BEFORE)

    recorder.create_table()
    recorder.create_table()

    assert len(probe.rows(FIRST_PLACE)) == 1
    with pytest.raises(psycopg.errors.CheckViolation):
        probe.connection.execute(INSERT_BEFORE.replace("-5", "-6").replace("'s'", "'t'"))


def test_it_rather_is_not_brought_up_to_date_than_makes_all_calls_wait(recorder, probe, database, monkeypatch):
    statement = schema._ADD_FIRST_PLACE.replace("10s", "10ms")
    monkeypatch.setattr(schema, "_ADD_FIRST_PLACE", statement)
    probe.connection.execute("ALTER TABLE stored_events DROP CONSTRAINT stored_events_first_place")
    with psycopg.connect(database.dsn) as reading:
        reading.execute("SELECT FROM stored_events")
        with pytest.raises(EventStoreUnavailable, match="read"):
            recorder.create_table()
    recorder.create_table()
    assert len(probe.rows(FIRST_PLACE)) == 1
