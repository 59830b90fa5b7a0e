"""A build says since when it is no longer read, so that a rollback finds the one that was read last.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_CHECKPOINTS = "projection_checkpoints"


def upgrade() -> None:
    """Of builds that were retired before, their last change is the best that is known."""
    op.add_column(_CHECKPOINTS, sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(_CHECKPOINTS, sa.Column("waits_for", sa.Text(), nullable=True))
    op.execute("UPDATE projection_checkpoints SET retired_at = updated_at WHERE role = 'retired'")


def downgrade() -> None:
    """Drop it."""
    op.drop_column(_CHECKPOINTS, "waits_for")
    op.drop_column(_CHECKPOINTS, "retired_at")
