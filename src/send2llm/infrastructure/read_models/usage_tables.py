"""The tables of the usage, version 1.

Everything is counted at the quarter of an hour in which its attempt began: any time zone's hours and days are whole
quarters. Amounts are exact US dollars. Tokens are those that providers reported, or estimates; durations are whole
microseconds, so that sums are the same in whatever order.
"""

from dataclasses import fields

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Numeric, Table, Text, Uuid

from send2llm.events import Usage
from send2llm.projections import table_name

NAME = "usage"
VERSION = 1

metadata = MetaData()

KEY = ("quarter", "provider", "model", "tenant", "actor")
"""What rows are about, in every table."""

TOKENS = tuple(field.name for field in fields(Usage))

COUNTS = (
    "calls",
    "attempts",
    "answered",
    "failed",
    "interrupted",
    "refused",
    "estimated",
    "unpriced",
    *TOKENS,
    "duration_us",
    "streamed",
    "first_token_us",
)
AMOUNTS = ("cost_usd", "assumed_usd")
LONGEST = ("longest_duration_us", "longest_first_token_us")


def _key() -> list[Column[object]]:
    return [Column(name, DateTime(timezone=True) if name == "quarter" else Text(), primary_key=True) for name in KEY]


quarters = Table(
    table_name(NAME, VERSION, "quarters"),
    metadata,
    *_key(),
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
    *(Column(name, Numeric, nullable=False) for name in AMOUNTS),
    *(Column(name, BigInteger, nullable=False) for name in LONGEST),
)
"""A call counts where its first attempt was made, its end where its last one was."""

troubles = Table(
    table_name(NAME, VERSION, "troubles"),
    metadata,
    *_key(),
    Column("kind", Text, primary_key=True),
    Column("error", Text, primary_key=True),
    Column("times", BigInteger, nullable=False),
)
"""Why attempts failed, calls were interrupted or refused: ``kind`` is ``failure``, ``interruption`` or ``refusal``."""

durations = Table(
    table_name(NAME, VERSION, "durations"),
    metadata,
    *_key(),
    Column("measure", Text, primary_key=True),
    Column("up_to_us", BigInteger, primary_key=True),
    Column("times", BigInteger, nullable=False),
)
"""How long answers took (``duration``) and began to take (``first_token``), in the buckets of ``duration_buckets``."""

calls = Table(
    table_name(NAME, VERSION, "calls"),
    metadata,
    Column("completion_id", Uuid, primary_key=True),
    *(Column(column.name, column.type, nullable=False) for column in _key()),
    Column("cost_usd", Numeric),
    Column("assumed_usd", Numeric),
)
"""Where the attempt counts that a call is at; gone when the call has ended. A call whose process was gone stays with
what was counted for it, as it may be answered after all."""
