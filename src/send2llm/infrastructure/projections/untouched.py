"""What is as it was: rows of conversations in which nothing has happened since a position.

Where every row of a table belongs to one conversation, its fold need be repeated only for the conversations that have
gone on since; all others have the rows that they had. So a report of the recent past costs little, and no report costs
more than what had happened by then.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Table, text

from send2llm.application.projections import Projection
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.projections.checkpoints import Build, builds_of, qualified, usual_place
from send2llm.infrastructure.projections.views import name_of_view

ConversationColumns = Mapping[Table, str]
"""The tables that are read, by their views alone, and the column of each that names the conversation of a row."""

_TOUCHED = """
CREATE TEMPORARY TABLE touched_conversations AS
SELECT DISTINCT originator_id, substr(originator_id, {behind})::uuid AS id FROM stored_events
WHERE notification_id > {after} AND topic = ANY (%s)
"""
_KEYS = "ALTER TABLE touched_conversations ADD PRIMARY KEY (id)"
_POSITIONS = """
SELECT notification_id FROM touched_conversations JOIN stored_events USING (originator_id)
WHERE notification_id <= %s AND topic = ANY (%s) ORDER BY notification_id
"""
_VIEW = """
CREATE TEMPORARY VIEW {view} AS SELECT {columns} FROM pg_temp.{table}
UNION ALL SELECT {columns} FROM {live} AS live
WHERE NOT EXISTS (SELECT FROM touched_conversations AS touched WHERE touched.id = live.{conversation})
"""


def live_build(connection: Connection, projection: Projection) -> Build | None:
    """The build that is read, if it is one of this very version."""
    for build in builds_of(connection, projection.name):
        if build.role == "live" and build.version == projection.version:
            return build
    return None


def find_touched(connection: Connection, topics: Sequence[str], after: int) -> None:
    """Note the conversations in which something of ``topics`` has happened after a position."""
    behind = len(conversation_stream(UUID(int=0))) - len(str(UUID(int=0))) + 1
    raw = _raw(connection)
    raw.execute(_TOUCHED.format(behind=behind, after=after).encode(), (list(topics),))
    raw.execute(_KEYS)
    raw.execute("ANALYZE touched_conversations")


def positions_of_touched(connection: Connection, topics: Sequence[str], up_to: int) -> Sequence[int]:
    """Where the events of these conversations are, up to a position."""
    return [position for (position,) in _raw(connection).execute(_POSITIONS, (up_to, list(topics)))]


def create_views_with_untouched(
    connection: Connection, projection: Projection, live: Build, columns: ConversationColumns
) -> None:
    """Let views, for this session, lead to what is folded anew and to the rows of all other conversations."""
    quote = connection.dialect.identifier_preparer.quote
    place = live.place or usual_place(connection)
    for table, column in columns.items():
        statement = _VIEW.format(
            view=quote(name_of_view(projection.name, projection.version, table.name)),
            columns=", ".join(quote(each.name) for each in table.columns),
            table=quote(table.name),
            live=qualified(place, table.name),
            conversation=quote(column),
        )
        connection.execute(text(statement))


def _raw(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
