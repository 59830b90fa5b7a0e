"""The tables of the cost ledger, version 1.

Amounts are exact US dollars. Tokens are those that the provider reported, or the estimate where it reported none.
"""

from dataclasses import fields

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)

from send2llm.events import Usage
from send2llm.projections import table_name

NAME = "cost_ledger"
VERSION = 1

metadata = MetaData()

USAGE_FIELDS = tuple(field.name for field in fields(Usage) if field.name != "cache_write_1h_input_tokens")
"""Version 1 has no column for what the cache keeps for an hour; the events have it, and the cost counts it."""

attempts = Table(
    table_name(NAME, VERSION, "attempts"),
    metadata,
    Column("completion_id", Uuid, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("conversation_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text),
    *(Column(name, BigInteger) for name in USAGE_FIELDS),
    Column("usage_estimated", Boolean, nullable=False),
    Column("hold_usd", Numeric),
    Column("paid_by", JSON, nullable=False),
    Column("cost_usd", Numeric),
    Column("assumed", Text),
    Column("price_version", Text),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("position", BigInteger, nullable=False),
)

Index(None, attempts.c.requested_at)
Index(None, attempts.c.conversation_id)
Index(None, attempts.c.completion_id, postgresql_where=text("status = 'awaited'"))

uses = Table(
    table_name(NAME, VERSION, "uses"),
    metadata,
    Column("budget_id", Uuid, primary_key=True),
    Column("period_key", Text, primary_key=True),
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("held_usd", Numeric, nullable=False),
    Column("spent_usd", Numeric, nullable=False),
)
"""By how much what calls hold, and what they have spent, of a budget's period changed in each minute."""
