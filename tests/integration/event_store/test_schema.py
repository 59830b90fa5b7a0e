"""The schema is made once, whoever comes first, and takes no lock and no rights where it is complete."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

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
