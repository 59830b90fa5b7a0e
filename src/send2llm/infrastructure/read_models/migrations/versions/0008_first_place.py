"""No event before position 1, which the event store sees to itself: this tells databases that do from others.

Revision ID: 0008
Revises: 0007
"""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is left to do: the event store brings its own tables up to date before any migration."""


def downgrade() -> None:
    """What is refused now was never meant to be taken."""
