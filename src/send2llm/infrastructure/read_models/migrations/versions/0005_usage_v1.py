"""Version 1 of the usage."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = ("quarter", "provider", "model", "tenant", "actor")
_COUNTS = (
    "calls",
    "attempts",
    "answered",
    "failed",
    "interrupted",
    "refused",
    "estimated",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "cache_write_1h_input_tokens",
    "duration_us",
    "streamed",
    "first_token_us",
)
_TABLES = ("quarters", "troubles", "durations", "calls")


def upgrade() -> None:
    """Make the tables, and the views under which they are read."""
    op.create_table(
        "usage_v1_quarters",
        *_key(),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.Numeric(), nullable=False) for name in ("cost_usd", "assumed_usd")),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("longest_duration_us", "longest_first_token_us")
        ),
        sa.PrimaryKeyConstraint(*_KEY),
    )
    _counted("troubles", sa.Column("kind", sa.Text(), nullable=False), sa.Column("error", sa.Text(), nullable=False))
    _counted(
        "durations",
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("up_to_us", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "usage_v1_calls",
        sa.Column("completion_id", sa.Uuid(), nullable=False),
        *_key(),
        sa.Column("cost_usd", sa.Numeric(), nullable=True),
        sa.Column("assumed_usd", sa.Numeric(), nullable=True),
        sa.PrimaryKeyConstraint("completion_id"),
    )
    for table in _TABLES:
        op.execute(f"CREATE VIEW usage_{table} AS SELECT * FROM usage_v1_{table}")  # noqa: S608 - names of this file


def downgrade() -> None:
    """Drop them; the rows can be folded from the events again."""
    for table in _TABLES:
        op.execute(f"DROP VIEW usage_{table}")
        op.drop_table(f"usage_v1_{table}")
    op.execute("DELETE FROM projection_checkpoints WHERE name = 'usage'")


def _key() -> list[sa.Column[object]]:
    return [
        sa.Column(name, sa.DateTime(timezone=True) if name == "quarter" else sa.Text(), nullable=False) for name in _KEY
    ]


def _counted(table: str, *what: sa.Column[object]) -> None:
    op.create_table(
        f"usage_v1_{table}",
        *_key(),
        *what,
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*_KEY, *(column.name for column in what)),
    )
