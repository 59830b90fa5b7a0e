"""Where projections stand, and version 1 of the history."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _create_projection_checkpoints()
    _create_conversations()
    _create_messages()
    _create_completions()
    _create_feedback()


def downgrade() -> None:
    """Drop them; the rows can be folded from the events again."""
    op.drop_table("history_v1_feedback")
    op.drop_table("history_v1_completions")
    op.drop_table("history_v1_messages")
    op.drop_table("history_v1_conversations")
    op.drop_table("projection_checkpoints")


def _create_projection_checkpoints() -> None:
    op.create_table(
        "projection_checkpoints",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("failed_position", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )


def _create_conversations() -> None:
    op.create_table(
        "history_v1_conversations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("labels", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("completion_count", sa.Integer(), nullable=False),
        sa.Column("received_count", sa.Integer(), nullable=False),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("interrupted_count", sa.Integer(), nullable=False),
        sa.Column("refused_count", sa.Integer(), nullable=False),
        sa.Column("unpriced_count", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("last_provider", sa.Text(), nullable=True),
        sa.Column("last_model", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_history_v1_conversations_last_model",
        "history_v1_conversations",
        ["last_model", "updated_at", "id"],
    )
    op.create_index(
        "ix_history_v1_conversations_last_provider",
        "history_v1_conversations",
        ["last_provider", "updated_at", "id"],
    )
    op.create_index("ix_history_v1_conversations_started_at", "history_v1_conversations", ["started_at", "id"])
    op.create_index(
        "ix_history_v1_conversations_state",
        "history_v1_conversations",
        ["state", "updated_at", "id"],
        postgresql_where=sa.text("state <> 'open'"),
    )
    op.create_index("ix_history_v1_conversations_tenant", "history_v1_conversations", ["tenant", "updated_at", "id"])
    op.create_index("ix_history_v1_conversations_updated_at", "history_v1_conversations", ["updated_at", "id"])


def _create_messages() -> None:
    op.create_table(
        "history_v1_messages",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("completion_id", sa.Uuid(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "ordinal"),
    )


def _create_completions() -> None:
    op.create_table(
        "history_v1_completions",
        sa.Column("completion_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("requested_model", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("assumed", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("streaming", sa.Boolean(), nullable=False),
        sa.Column("reported_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reported_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reported_cache_read_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reported_cache_write_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reported_reasoning_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated_cache_read_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated_cache_write_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated_reasoning_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("hold_usd", sa.Numeric(), nullable=True),
        sa.Column("cost_usd", sa.Numeric(), nullable=True),
        sa.Column("failed_attempts_cost_usd", sa.Numeric(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("duration", sa.Float(), nullable=True),
        sa.Column("time_to_first_token", sa.Float(), nullable=True),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("completion_id"),
    )
    op.create_index(
        "ix_history_v1_completions_conversation_id",
        "history_v1_completions",
        ["conversation_id", "requested_at"],
    )
    op.create_index(
        "ix_history_v1_completions_process",
        "history_v1_completions",
        ["process"],
        postgresql_where=sa.text("status = 'awaited'"),
    )


def _create_feedback() -> None:
    op.create_table(
        "history_v1_feedback",
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("completion_id", sa.Uuid(), nullable=True),
        sa.Column("score", sa.Numeric(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("ix_history_v1_feedback_conversation_id", "history_v1_feedback", ["conversation_id"])
