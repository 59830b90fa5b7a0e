"""An index of labels, for every build of the history."""

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BUILDS = text("SELECT oid::regclass::text FROM pg_class WHERE relname = 'history_v1_conversations' AND relkind = 'r'")
"""The first one is in the usual schema; each later one has a schema of its own."""

_INDEXES = text(
    "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
    " WHERE relname = 'history_v1_conversations' AND pg_get_indexdef(indexrelid) LIKE '% USING gin (labels %'"
)
"""PostgreSQL names those of later builds itself."""


def upgrade() -> None:
    """Make it; conversations without labels are not in it."""
    for table in op.get_bind().execute(_BUILDS).scalars().all():
        op.execute(
            f"CREATE INDEX ix_history_v1_conversations_labels ON {table}"
            " USING gin (labels jsonb_path_ops) WHERE labels <> '{}'"
        )


def downgrade() -> None:
    """Drop it."""
    for index in op.get_bind().execute(_INDEXES).scalars().all():
        op.execute(f"DROP INDEX {index}")
