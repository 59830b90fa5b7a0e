"""Checks of the database: whether it can be reached, is durable, is up to date and keeps its events."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from send2llm.bootstrap.texts import text_keys
from send2llm.domain.errors import ConfigurationError, Send2LLMError
from send2llm.infrastructure.event_store.errors import EventStoreMisconfigured
from send2llm.infrastructure.event_store.group_commit import GroupCommitOptions
from send2llm.infrastructure.event_store.guards import check_environment, check_server
from send2llm.infrastructure.event_store.text_key_rows import count_lost, refuse_unknown_master_key
from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres
from send2llm.infrastructure.postgres.rights import missing_rights
from send2llm.infrastructure.projections.log_pages import EVENTS_TABLE
from send2llm.infrastructure.read_models.migration import pending
from send2llm.interfaces.cli.checks import Finding
from send2llm.interfaces.cli.encryption import RESTORE_KEYS
from send2llm.settings import Settings

CONNECT_SECONDS = 5
LONG_TRANSACTION_SECONDS = 60
COUNT_SECONDS = 10
"""How long it may take to look for keys that are lost: some million conversations."""

_TRIGGER = """
    SELECT tgenabled <> 'D' FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = %s
"""
_LONG_TRANSACTIONS = """
    SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE relation = to_regclass(%s) AND state LIKE 'idle in transaction%%'
      AND xact_start < now() - make_interval(secs => %s)
"""


def check_event_store_environment() -> Finding:
    """Whether a variable of the environment switches the library to a mode that loses events."""
    try:
        check_environment(os.environ)
    except EventStoreMisconfigured as error:
        return Finding("event store mode", "fail", str(error), "Then start the service again.")
    return Finding("event store mode", "ok", "appends take the table lock")


def check_lock_timeout(settings: Settings) -> Finding:
    """How long appends wait for a lock that nobody releases."""
    one_try = GroupCommitOptions().lock_timeout
    return Finding("lock timeout", "ok", f"{one_try:g} s, tried again for {settings.store_wait_seconds:g} s")


def check_database(settings: Settings, data_dir: Path) -> Iterator[Finding]:
    """Everything that can be seen with a connection to the database."""
    with ExitStack() as stack:
        try:
            if settings.database_url is not None:
                database = ConnectionInfo.parse(settings.database_url.get_secret_value())
            elif (data_dir / "postgres").exists():
                database = stack.enter_context(EmbeddedPostgres(data_dir)).connection_info
            else:
                found = "the service has not made its own yet"
                yield Finding("database", "warn", found, "Start the service: send2llm serve")
                return
            connection = stack.enter_context(
                psycopg.connect(database.dsn, connect_timeout=CONNECT_SECONDS, autocommit=True)
            )
            warnings = check_server(connection)
        except EventStoreMisconfigured as error:
            yield Finding("database", "fail", str(error))
            return
        except (Send2LLMError, psycopg.Error) as error:
            yield Finding("database", "fail", _first_line(error), "Check SEND2LLM_DATABASE_URL and the server.")
            return
        server = connection.info.parameter_status("server_version")
        yield Finding("database", "ok", f"PostgreSQL {server}, {database.dbname} at {database.host}")
        for warning in warnings:
            yield Finding(warning.setting, "warn", f"it is {warning.value}", warning.message)
        if not warnings:
            yield Finding("durability", "ok", "fsync, full_page_writes and synchronous_commit are on")
        schema = list(_check_schema(database))
        yield from schema
        if all(finding.verdict == "ok" for finding in schema):
            yield _check_text_keys(connection, settings)
        yield from _check_events_table(connection)
        yield _check_rights(connection)


def _check_schema(database: ConnectionInfo) -> Iterator[Finding]:
    remedy = "Run: send2llm migrate"
    try:
        missing = pending(database)
    except SQLAlchemyError as error:
        yield Finding("schema", "fail", _first_line(error), remedy)
        return
    if missing:
        yield Finding("schema", "fail", f"migrations are missing: {', '.join(missing)}", remedy)
    else:
        yield Finding("schema", "ok", "up to date")


def _check_text_keys(connection: psycopg.Connection[Any], settings: Settings) -> Finding:
    """Whether the master keys that are set open the keys of all conversations, and no conversation has lost its key."""
    name = "keys of texts"
    try:
        refuse_unknown_master_key(connection, text_keys(settings))
    except (ConfigurationError, OSError) as error:
        return Finding(name, "fail", _first_line(error), "A service does not start without it.")
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'")
            lost = count_lost(connection)
    except psycopg.errors.QueryCanceled:
        found = "the master keys are there; too many conversations to look at the keys of all"
        return Finding(name, "ok", found, "Run: send2llm encryption status")
    if lost:
        found = f"conversations whose key is lost, without an erasure: {lost}"
        return Finding(name, "fail", found, RESTORE_KEYS)
    return Finding(name, "ok", "none is lost, and the master keys are there")


def _check_rights(connection: psycopg.Connection[Any]) -> Finding:
    """Whether the role may make what rebuilds, own projections and questions about the past need."""
    missing = missing_rights(connection)
    if missing:
        found = f"the role {connection.info.user} lacks some, which projections and questions about the past need"
        return Finding("database rights", "warn", found, f"Let the database's owner run: {'; '.join(missing)}")
    return Finding("database rights", "ok", "the role may make tables, temporary ones, and schemas for rebuilds")


def _check_events_table(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    row = connection.execute(_TRIGGER, (EVENTS_TABLE, f"{EVENTS_TABLE}_append_only")).fetchone()
    if row is None:
        found = "the trigger that refuses changes of stored events is missing"
        yield Finding("append-only", "fail", found, "Run: send2llm migrate")
    elif not row[0]:
        yield Finding(
            "append-only",
            "fail",
            "the trigger that refuses changes of stored events is disabled",
            f"Run in the database: ALTER TABLE {EVENTS_TABLE} ENABLE TRIGGER {EVENTS_TABLE}_append_only",
        )
    else:
        yield Finding("append-only", "ok", "stored events cannot be changed")
    held = connection.execute(_LONG_TRANSACTIONS, (EVENTS_TABLE, LONG_TRANSACTION_SECONDS)).fetchone()
    if held and held[0]:
        yield Finding(
            "locks",
            "warn",
            f"{held[0]} idle transactions have held on to the events for over {LONG_TRANSACTION_SECONDS} s",
            "Find them in pg_stat_activity and end them, or set idle_in_transaction_session_timeout.",
        )
    else:
        yield Finding("locks", "ok", "nobody holds on to the events")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
