"""The keys of conversations, which the event store makes for itself: this tells databases that have them from others.

Revision ID: 0006
Revises: 0005
"""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is left to do: the event store brings its own tables up to date before any migration."""


def downgrade() -> None:
    """Keys are never thrown away by accident."""
