"""The tables of the history projection, version 1.

Amounts are exact US dollars, durations seconds. Totals of tokens take what providers reported, and the
estimate where they reported nothing; the two stand apart in ``completions``.
"""

from dataclasses import fields

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from send2llm.events import Usage
from send2llm.projections import table_name

NAME = "history"
VERSION = 1

metadata = MetaData()

USAGE_FIELDS = tuple(field.name for field in fields(Usage) if field.name != "cache_write_1h_input_tokens")
"""Version 1 has no column for what the cache keeps for an hour; the events have it, and the cost counts it."""


def usage_columns(origin: str) -> tuple[Column[int], ...]:
    """The columns of a usage that was ``reported`` or ``estimated``; all null when it was not."""
    return tuple(Column(f"{origin}_{name}", BigInteger) for name in USAGE_FIELDS)


conversations = Table(
    table_name(NAME, VERSION, "conversations"),
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("title", Text),
    Column("labels", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("completion_count", Integer, nullable=False),
    Column("received_count", Integer, nullable=False),
    Column("failed_count", Integer, nullable=False),
    Column("interrupted_count", Integer, nullable=False),
    Column("refused_count", Integer, nullable=False),
    Column("unpriced_count", Integer, nullable=False),
    Column("cost_usd", Numeric, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("last_provider", Text),
    Column("last_model", Text),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

# One index for each way to list, in the order of its pages.
Index(None, conversations.c.started_at, conversations.c.id)
Index(None, conversations.c.updated_at, conversations.c.id)
Index(None, conversations.c.tenant, conversations.c.updated_at, conversations.c.id)
Index(None, conversations.c.last_model, conversations.c.updated_at, conversations.c.id)
Index(None, conversations.c.last_provider, conversations.c.updated_at, conversations.c.id)
# Nearly every conversation is open, and an index would not help to find those; the others are few.
Index(
    None,
    conversations.c.state,
    conversations.c.updated_at,
    conversations.c.id,
    postgresql_where=text("state <> 'open'"),
)
# Conversations without labels, perhaps all, cost nothing here.
Index(
    None,
    conversations.c.labels,
    postgresql_using="gin",
    postgresql_ops={"labels": "jsonb_path_ops"},
    postgresql_where=text("labels <> '{}'"),
)

messages = Table(
    table_name(NAME, VERSION, "messages"),
    metadata,
    Column("conversation_id", Uuid, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("role", Text, nullable=False),
    Column("name", Text),
    Column("text", Text, nullable=False),
    # json, not jsonb: the parts are shown as they were said and never searched, so parsing them would be in
    # vain.
    Column("parts", JSON, nullable=False),
    Column("completion_id", Uuid),
    Column("provider", Text),
    Column("model", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
)

completions = Table(
    table_name(NAME, VERSION, "completions"),
    metadata,
    Column("completion_id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text),
    Column("assumed", Text),
    Column("attempts", Integer, nullable=False),
    Column("streaming", Boolean, nullable=False),
    *usage_columns("reported"),
    *usage_columns("estimated"),
    Column("hold_usd", Numeric),
    Column("cost_usd", Numeric),
    Column("failed_attempts_cost_usd", Numeric, nullable=False),
    Column("price_version", Text),
    Column("duration", Float),
    Column("time_to_first_token", Float),
    Column("finish_reason", Text),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
)

Index(None, completions.c.conversation_id, completions.c.requested_at)
Index(None, completions.c.process, postgresql_where=text("status = 'awaited'"))

feedback = Table(
    table_name(NAME, VERSION, "feedback"),
    metadata,
    Column("position", BigInteger, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("completion_id", Uuid),
    Column("score", Numeric, nullable=False),
    Column("comment", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

Index(None, feedback.c.conversation_id)
