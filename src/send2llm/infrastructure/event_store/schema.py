"""The tables, triggers and the function of the event store, made where they are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from send2llm.infrastructure.event_store.append_function import AppendFunction
from send2llm.infrastructure.event_store.budget_appends import CHANGE_TOPICS
from send2llm.infrastructure.event_store.errors import EventStoreUnavailable
from send2llm.infrastructure.event_store.template_appends import TEMPLATE_TOPICS

HEADS_TABLE = "conversation_heads"
KEYS_TABLE = "conversation_keys"

_ADVISORY_LOCK = 0x53324C4C4D_0001
"""Held while the schema is made: "S2LLM", 1."""

_CREATE_HEADS = """
CREATE TABLE IF NOT EXISTS {heads} (
    originator_id text PRIMARY KEY,
    digest bytea NOT NULL,
    notification_id bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {digest_index} ON {heads} (digest, notification_id DESC)
"""

_CREATE_KEYS = """
CREATE TABLE IF NOT EXISTS {keys} (originator_id text PRIMARY KEY, wrapped bytea NOT NULL)
"""

_CREATE_INDEX = """
CREATE INDEX IF NOT EXISTS {index} ON {events} (notification_id) WHERE topic IN ({topics})
"""
# Which budgets there are is asked every second, and their events are few among many; so are those of templates.

_ADD_FIRST_PLACE = """
SET LOCAL lock_timeout = '10s';
ALTER TABLE {events} ADD CONSTRAINT {first_place} CHECK (notification_id > 0){not_valid};
SET LOCAL lock_timeout = DEFAULT
"""
# Whoever follows the log begins after position 0, and whoever reads a stream does not: an event before that would be
# served, and counted nowhere. Even readers wait for the lock: where somebody reads for long, rather this fails than
# that all calls wait, and rows that are there are not looked at. So a database in which somebody has put such an event
# can be brought up to date all the same; verification names it.

_CREATE_REFUSAL = """
CREATE OR REPLACE FUNCTION {refusal}() RETURNS trigger LANGUAGE plpgsql AS {body};
CREATE OR REPLACE TRIGGER {trigger}
    BEFORE UPDATE OR DELETE OR TRUNCATE ON {events}
    FOR EACH STATEMENT EXECUTE FUNCTION {refusal}()
"""

_REFUSAL_BODY = """
BEGIN
    RAISE EXCEPTION '% on %.% refused: stored events are never changed or removed',
        tg_op, tg_table_schema, tg_table_name
    USING ERRCODE = 'restrict_violation',
          DETAIL = 'History, costs and balances are computed from them; a change would falsify them all.',
          HINT = 'Append an event that corrects the earlier one.';
END
"""

_FIND = """
SELECT to_regclass({events}) IS NOT NULL
   AND to_regclass({budgets_index}) IS NOT NULL
   AND to_regclass({templates_index}) IS NOT NULL
   AND to_regclass({heads}) IS NOT NULL
   AND to_regclass({keys}) IS NOT NULL
   AND EXISTS (SELECT FROM pg_proc WHERE oid = to_regprocedure({function}) AND prosrc = {function_body})
   AND EXISTS (SELECT FROM pg_proc WHERE oid = to_regprocedure({refusal}) AND prosrc = {refusal_body})
   AND EXISTS (
       SELECT FROM pg_trigger
       WHERE tgrelid = to_regclass({events}) AND tgname = {trigger} AND tgfoid = to_regprocedure({refusal})
   )
   AND EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass({events}) AND conname = {first_place})
"""

_READ_FOR_LONG = (
    "The event table cannot be brought up to date while somebody reads it for long, such as a backup. "
    "Try again when that has ended."
)


@dataclass(frozen=True, slots=True)
class EventStoreSchema:
    """What the event store needs in its database.

    ``library_statements`` make the event table as the ``eventsourcing`` library defines it.
    """

    schema: str
    events_table: str
    heads_table: str
    keys_table: str
    library_statements: Sequence[Composed]

    @property
    def append_function(self) -> AppendFunction:
        return AppendFunction(self.schema, self.events_table, self.heads_table, self.keys_table)

    def ensure(self, connection: psycopg.Connection[Any]) -> None:
        """Create what is missing and bring functions up to date, in one transaction.

        Where nothing is missing, nothing is locked and no right to create is needed. Several processes may
        call this at once: an advisory lock lets one work, and the others find it done.
        """
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            if self._is_complete(cursor):
                return
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
            if self._is_complete(cursor):
                return
            for statement in self.library_statements:
                self._create_unless_there(cursor, statement)
            for own_statement in self._own_statements():
                cursor.execute(own_statement)
            self._create_unless_there(cursor, self._add_first_place(cursor))

    def _is_complete(self, cursor: psycopg.Cursor[Any]) -> bool:
        cursor.execute(
            SQL(_FIND).format(
                events=Literal(self._events.as_string()),
                budgets_index=Literal(Identifier(self.schema, self._budgets_index_name).as_string()),
                templates_index=Literal(Identifier(self.schema, self._templates_index_name).as_string()),
                heads=Literal(self._heads.as_string()),
                keys=Literal(self._keys.as_string()),
                function=Literal(self.append_function.signature.as_string()),
                function_body=Literal(self.append_function.body.as_string()),
                refusal=Literal(f"{self._refusal.as_string()}()"),
                refusal_body=Literal(_REFUSAL_BODY),
                trigger=Literal(self._trigger_name),
                first_place=Literal(self._first_place_name),
            )
        )
        row = cursor.fetchone()
        return bool(row and row[0])

    def _create_unless_there(self, cursor: psycopg.Cursor[Any], statement: Composed) -> None:
        try:
            with cursor.connection.transaction():
                cursor.execute(statement)
        except psycopg.errors.DuplicateObject:
            # It is there already, and PostgreSQL has no CREATE TYPE and no ADD CONSTRAINT that says IF NOT EXISTS.
            return
        except psycopg.errors.LockNotAvailable:
            raise EventStoreUnavailable(_READ_FOR_LONG, outcome_unknown=False) from None

    def _add_first_place(self, cursor: psycopg.Cursor[Any]) -> Composed:
        has_rows = cursor.execute(SQL("SELECT FROM {} LIMIT 1").format(self._events)).rowcount
        return SQL(_ADD_FIRST_PLACE).format(
            events=self._events,
            first_place=Identifier(self._first_place_name),
            not_valid=SQL(" NOT VALID" if has_rows else ""),
        )

    def _own_statements(self) -> Sequence[Composed]:
        return (
            *(
                SQL(_CREATE_INDEX).format(
                    index=Identifier(name), events=self._events, topics=SQL(", ").join(map(Literal, topics))
                )
                for name, topics in (
                    (self._budgets_index_name, CHANGE_TOPICS),
                    (self._templates_index_name, TEMPLATE_TOPICS),
                )
            ),
            SQL(_CREATE_HEADS).format(heads=self._heads, digest_index=Identifier(f"{self.heads_table}_digest_idx")),
            SQL(_CREATE_KEYS).format(keys=self._keys),
            self.append_function.create_statement,
            SQL(_CREATE_REFUSAL).format(
                refusal=self._refusal,
                body=Literal(_REFUSAL_BODY),
                trigger=Identifier(self._trigger_name),
                events=self._events,
            ),
        )

    @property
    def _events(self) -> Identifier:
        return Identifier(self.schema, self.events_table)

    @property
    def _heads(self) -> Identifier:
        return Identifier(self.schema, self.heads_table)

    @property
    def _keys(self) -> Identifier:
        return Identifier(self.schema, self.keys_table)

    @property
    def _refusal(self) -> Identifier:
        return Identifier(self.schema, f"{self.events_table}_refuse_change")

    @property
    def _budgets_index_name(self) -> str:
        return f"{self.events_table}_budgets_idx"

    @property
    def _templates_index_name(self) -> str:
        return f"{self.events_table}_templates_idx"

    @property
    def _first_place_name(self) -> str:
        return f"{self.events_table}_first_place"

    @property
    def _trigger_name(self) -> str:
        return f"{self.events_table}_append_only"
