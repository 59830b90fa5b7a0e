"""Brings a database to the schema that this version of Send2LLM needs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from eventsourcing.postgres import PostgresDatastore
from sqlalchemy import Connection, MetaData, NullPool, create_engine, text

from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.log_seals import tables as seal_tables
from send2llm.infrastructure.postgres.advisory_locks import advisory_key
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.projections import checkpoints
from send2llm.infrastructure.read_models import cost_ledger_tables, history_tables, usage_tables

SCRIPTS = "send2llm.infrastructure.read_models:migrations"
VERSION_TABLE = "send2llm_schema"

METADATA: Sequence[MetaData] = (
    checkpoints.metadata,
    history_tables.metadata,
    cost_ledger_tables.metadata,
    usage_tables.metadata,
    seal_tables.metadata,
)
"""All tables that migrations make."""

log = structlog.get_logger(__name__)


def migrate(database: ConnectionInfo) -> Sequence[str]:
    """Make the event store if it is missing, apply the missing migrations, and name those.

    Several processes may do so at once: one works, the others wait and find it done. Blocks.
    """
    with _connected(database) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": advisory_key("schema", "")})
        _ensure_event_store(connection, database)
        missing = _pending(connection)
        if missing:
            command.upgrade(migration_config(connection), "head")
            log.info("schema.migrated", migrations=missing)
        return missing


def pending(database: ConnectionInfo) -> Sequence[str]:
    """The migrations that are missing, the first one first."""
    with _connected(database) as connection:
        return _pending(connection)


def current(database: ConnectionInfo) -> str | None:
    """The last migration that was applied, ``None`` when there was none."""
    with _connected(database) as connection:
        return _context(connection).get_current_revision()


@contextmanager
def _connected(database: ConnectionInfo) -> Iterator[Connection]:
    engine = create_engine(database.sqlalchemy_url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def _ensure_event_store(connection: Connection, database: ConnectionInfo) -> None:
    datastore = PostgresDatastore(
        database.dbname,
        database.host,
        database.port,
        database.user,
        database.password,
        originator_id_type="text",
    )
    recorder = GroupCommitRecorder(datastore)
    try:
        # Only what it knows of its tables is wanted; they are made on this connection, with everything else.
        recorder.schema.ensure(cast("psycopg.Connection[Any]", connection.connection.driver_connection))
    finally:
        recorder.close()
        datastore.close()


def migration_config(connection: Connection) -> Config:
    """What Alembic works with on this connection."""
    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", SCRIPTS)
    return config


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})


def _pending(connection: Connection) -> Sequence[str]:
    scripts = ScriptDirectory.from_config(migration_config(connection))
    applied = _context(connection).get_current_revision() or "base"
    return [script.revision for script in scripts.iterate_revisions("heads", applied)][::-1]
