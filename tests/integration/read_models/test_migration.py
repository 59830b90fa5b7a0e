"""Migrations: whoever comes first, the tables are those of the code."""

from concurrent.futures import ThreadPoolExecutor

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models import cost_ledger_tables, history_tables, usage_tables
from send2llm.infrastructure.read_models.migration import (
    METADATA,
    VERSION_TABLE,
    current,
    migrate,
    migration_config,
    pending,
)

REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009"]


def test_from_nothing_to_the_present(database: ConnectionInfo) -> None:
    assert current(database) is None
    assert pending(database) == REVISIONS
    assert migrate(database) == REVISIONS
    assert (current(database), pending(database)) == (REVISIONS[-1], [])
    assert migrate(database) == []


def test_many_processes_at_once(database: ConnectionInfo) -> None:
    with ThreadPoolExecutor(6) as threads:
        done = list(threads.map(migrate, [database] * 6))
    assert sorted(done, key=len) == [[]] * 5 + [REVISIONS]


def test_migrations_make_the_tables_that_the_code_knows(migrated: ConnectionInfo) -> None:
    engine = create_engine(migrated.sqlalchemy_url)
    with engine.connect() as connection:
        ours = {name for metadata in METADATA for name in metadata.tables}

        def is_ours(_item: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
            return kind != "table" or name in ours

        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "include_object": is_ours},
        )
        assert compare_metadata(context, list(METADATA)) == []
        assert {VERSION_TABLE, "stored_events"} <= set(inspect(connection).get_table_names())
    engine.dispose()


def test_every_build_of_the_history_gets_its_index_of_labels(migrated: ConnectionInfo) -> None:
    engine = create_engine(migrated.sqlalchemy_url)
    with engine.begin() as connection:
        alembic = migration_config(connection)
        command.downgrade(alembic, "0006")
        connection.execute(text("CREATE SCHEMA build_history_v1_b2"))
        connection.execute(
            text("CREATE TABLE build_history_v1_b2.history_v1_conversations (LIKE history_v1_conversations)")
        )
        for _ in range(2):
            command.upgrade(alembic, "0007")
            schemas = connection.execute(
                text("SELECT schemaname FROM pg_indexes WHERE indexdef LIKE '% gin (labels jsonb_path_ops)%'")
            )
            assert set(schemas.scalars()) == {"public", "build_history_v1_b2"}
            command.downgrade(alembic, "0006")
    engine.dispose()


def test_migrations_leave_columns_in_the_order_of_the_code(migrated: ConnectionInfo) -> None:
    """A rebuild makes its tables from the code, and is compared with the live one row by row."""
    engine = create_engine(migrated.sqlalchemy_url)
    with engine.connect() as connection:
        inspector = inspect(connection)
        for metadata in (history_tables.metadata, cost_ledger_tables.metadata, usage_tables.metadata):
            for table in metadata.sorted_tables:
                stored = [column["name"] for column in inspector.get_columns(table.name)]
                assert stored == [column.name for column in table.columns]
    engine.dispose()
