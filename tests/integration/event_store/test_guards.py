"""A set-up that would break the event store's promises is refused before the first event."""

import psycopg
import pytest
from eventsourcing.postgres import PostgresDatastore

from send2llm.infrastructure.event_store.errors import EventStoreMisconfigured
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.event_store.guards import check_environment, check_server


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_ENABLE_DB_FUNCTIONS", "y"),
        ("POSTGRES_ENABLE_DB_FUNCTIONS", "True"),
        ("SEND2LLM_POSTGRES_ENABLE_DB_FUNCTIONS", "1"),
        ("POSTGRES_ENABLE_DB_FUNCTIONS", "perhaps"),
    ],
)
def test_database_functions_are_refused_in_the_environment(name, value):
    with pytest.raises(EventStoreMisconfigured, match=f"Remove {name}"):
        check_environment({name: value})


@pytest.mark.parametrize("value", ["", "no", "0", "false"])
def test_database_functions_that_are_off_are_fine(value):
    check_environment({"POSTGRES_ENABLE_DB_FUNCTIONS": value, "PATH": "/bin"})


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"enable_db_functions": True, "originator_id_type": "text"}, "enable_db_functions=False"),
        ({"originator_id_type": "uuid"}, 'originator_id_type="text"'),
    ],
)
def test_a_datastore_that_loses_events_is_refused(settings, remedy, database):
    info = database
    with (
        PostgresDatastore(info.dbname, info.host, info.port, info.user, info.password, **settings) as datastore,
        pytest.raises(EventStoreMisconfigured, match=remedy),
    ):
        GroupCommitRecorder(datastore)


def test_settings_that_risk_answered_appends_are_named(database):
    with psycopg.connect(database.dsn, options="-c synchronous_commit=off") as connection:
        warnings = {warning.setting: warning.message for warning in check_server(connection)}

    assert "synchronous_commit = on" in warnings["synchronous_commit"]


def test_another_encoding_is_refused(database, postgres_server):
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database.dbname}_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    latin = database.with_database(f"{database.dbname}_latin")
    try:
        with (
            psycopg.connect(latin.dsn) as connection,
            pytest.raises(EventStoreMisconfigured, match="ENCODING 'UTF8'"),
        ):
            check_server(connection)
    finally:
        postgres_server.drop(latin)


def test_the_library_function_without_a_lock_is_not_even_there(recorder, probe):
    assert probe.rows("SELECT proname FROM pg_proc WHERE proname LIKE 'es_insert_events%'") == []
