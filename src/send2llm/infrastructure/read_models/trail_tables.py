"""The tables of the trail, version 1: by what each event can be found, one narrow row for each."""

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text, Uuid

from send2llm.projections import table_name

NAME = "trail"
VERSION = 1

metadata = MetaData()

events = Table(
    table_name(NAME, VERSION, "events"),
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("actor", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("conversation_id", Uuid),
    Column("completion_id", Uuid),
    Column("budget_id", Uuid),
)

Index(None, events.c.correlation_id)
Index(None, events.c.actor, events.c.position)
for column in (events.c.conversation_id, events.c.completion_id, events.c.budget_id):
    Index(None, column, events.c.position, postgresql_where=column.is_not(None))

allowances = Table(
    table_name(NAME, VERSION, "allowances"),
    metadata,
    Column("allowance_id", Uuid, primary_key=True),
    Column("budget_id", Uuid, nullable=False),
)
"""Whose money each allowance is: the event that closes one does not say it."""
