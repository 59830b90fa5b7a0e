"""Checks before the first append that the database, as it is set up, can keep the event store's promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.utils import strtobool
from psycopg.rows import tuple_row

from send2llm.infrastructure.event_store.errors import EventStoreMisconfigured

OLDEST_SERVER = 14
"""The oldest major version of PostgreSQL that has all that is used, such as CREATE OR REPLACE TRIGGER."""

_DATABASE_FUNCTIONS = "POSTGRES_ENABLE_DB_FUNCTIONS"
_LOSES_EVENTS = (
    "With the library's database functions, appends take no table lock, and readers that follow the events "
    "lose some of them without an error."
)


@dataclass(frozen=True, slots=True)
class ServerWarning:
    """A setting of the server under which an answered append can be lost when the machine fails."""

    setting: str
    value: str
    message: str


def check_environment(environment: Mapping[str, str]) -> None:
    """Raise EventStoreMisconfigured when a variable switches the library's database functions on.

    The library also reads the variable with an application's name before it, so those are refused too.
    """
    for name, value in environment.items():
        if name.upper().endswith(_DATABASE_FUNCTIONS) and _is_on(value):
            raise EventStoreMisconfigured(f"{_LOSES_EVENTS} Remove {name} from the environment.")


def check_datastore(datastore: PostgresDatastore) -> None:
    """Raise EventStoreMisconfigured when the library's datastore is set up in a way that loses events."""
    if datastore.enable_db_functions:
        raise EventStoreMisconfigured(f"{_LOSES_EVENTS} Create the datastore with enable_db_functions=False.")
    if datastore.originator_id_type != "text":
        raise EventStoreMisconfigured(
            "Streams are named by text (budgets have names, not UUIDs). "
            'Create the datastore with originator_id_type="text".'
        )


def check_server(connection: psycopg.Connection[Any]) -> Sequence[ServerWarning]:
    """Return what makes the server less than durable.

    Raises EventStoreMisconfigured when it cannot be used at all.
    """
    version = connection.info.server_version
    if version < OLDEST_SERVER * 10_000:
        raise EventStoreMisconfigured(
            f"The server is PostgreSQL {version // 10_000}; Send2LLM needs {OLDEST_SERVER} or newer. "
            "Upgrade the server, or unset SEND2LLM_DATABASE_URL to use the one that comes with Send2LLM."
        )
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            "SELECT current_setting('server_encoding'), current_setting('fsync'), "
            "current_setting('full_page_writes'), current_setting('synchronous_commit')"
        )
        encoding, fsync, full_page_writes, synchronous_commit = cursor.fetchone() or ("", "", "", "")
    if encoding != "UTF8":
        raise EventStoreMisconfigured(
            f"The database has the encoding {encoding}, which cannot hold every message. Create it with "
            "`CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`."
        )
    return [
        warning
        for warning in (
            ServerWarning("fsync", fsync, "A crash of the machine can destroy the whole database; set fsync = on."),
            ServerWarning(
                "full_page_writes",
                full_page_writes,
                "A crash of the machine can tear pages of the database; set full_page_writes = on.",
            ),
            ServerWarning(
                "synchronous_commit",
                synchronous_commit,
                "A crash of the server loses the last answered appends; set synchronous_commit = on.",
            ),
        )
        if warning.value == "off"
    ]


def _is_on(value: str) -> bool:
    try:
        return bool(strtobool(value)) if value.strip() else False
    except ValueError:
        return True  # not understood: rather refuse than lose events
