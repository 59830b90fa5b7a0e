"""Version 1 of the cost ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)


def upgrade() -> None:
    """Make the tables."""
    _create_attempts()
    _create_uses()


def downgrade() -> None:
    """Drop them; the rows can be folded from the events again."""
    op.drop_table("cost_ledger_v1_uses")
    op.drop_table("cost_ledger_v1_attempts")


def _create_attempts() -> None:
    op.create_table(
        "cost_ledger_v1_attempts",
        sa.Column("completion_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _TOKENS),
        sa.Column("usage_estimated", sa.Boolean(), nullable=False),
        sa.Column("hold_usd", sa.Numeric(), nullable=True),
        sa.Column("paid_by", sa.JSON(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), nullable=True),
        sa.Column("assumed", sa.Text(), nullable=True),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("completion_id", "attempt"),
    )
    op.create_index("ix_cost_ledger_v1_attempts_requested_at", "cost_ledger_v1_attempts", ["requested_at"])
    op.create_index("ix_cost_ledger_v1_attempts_conversation_id", "cost_ledger_v1_attempts", ["conversation_id"])
    op.create_index(
        "ix_cost_ledger_v1_attempts_completion_id",
        "cost_ledger_v1_attempts",
        ["completion_id"],
        postgresql_where=sa.text("status = 'awaited'"),
    )


def _create_uses() -> None:
    op.create_table(
        "cost_ledger_v1_uses",
        sa.Column("budget_id", sa.Uuid(), nullable=False),
        sa.Column("period_key", sa.Text(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_usd", sa.Numeric(), nullable=False),
        sa.Column("spent_usd", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", "period_key", "minute"),
    )
