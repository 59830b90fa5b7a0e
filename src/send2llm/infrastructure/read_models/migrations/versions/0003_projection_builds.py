"""A projection may have several builds: the one that is read, one that is being made, those that were read before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_CHECKPOINTS = "projection_checkpoints"
_VIEWS = {
    "history_v1": ("conversations", "messages", "completions", "feedback"),
    "cost_ledger_v1": ("attempts", "uses"),
}


def upgrade() -> None:
    """Checkpoints become those of builds; what is there is what is read."""
    op.add_column(_CHECKPOINTS, sa.Column("build", sa.Integer(), nullable=False, server_default="1"))
    op.add_column(_CHECKPOINTS, sa.Column("role", sa.Text(), nullable=False, server_default="live"))
    op.add_column(_CHECKPOINTS, sa.Column("place", sa.Text(), nullable=True))
    op.add_column(
        _CHECKPOINTS, sa.Column("tables", sa.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column(_CHECKPOINTS, sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        _CHECKPOINTS, sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    )
    op.drop_constraint("projection_checkpoints_pkey", _CHECKPOINTS)
    op.create_primary_key("projection_checkpoints_pkey", _CHECKPOINTS, ["name", "version", "build"])
    op.create_index(
        "projection_checkpoints_live", _CHECKPOINTS, ["name"], unique=True, postgresql_where=sa.text("role = 'live'")
    )
    op.create_table(
        "projection_skips",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("skipped_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("name", "version", "position"),
    )
    for projection, tables in _VIEWS.items():
        name = projection.rpartition("_v")[0]
        for table in tables:
            op.execute(f"CREATE VIEW {name}_{table} AS SELECT * FROM {projection}_{table}")  # noqa: S608 - names of this file


def downgrade() -> None:
    """Only what is read stays."""
    for projection, tables in _VIEWS.items():
        for table in tables:
            op.execute(f"DROP VIEW {projection.rpartition('_v')[0]}_{table}")
    op.drop_table("projection_skips")
    op.execute("DELETE FROM projection_checkpoints WHERE role <> 'live'")
    op.drop_index("projection_checkpoints_live", _CHECKPOINTS)
    op.drop_constraint("projection_checkpoints_pkey", _CHECKPOINTS)
    op.create_primary_key("projection_checkpoints_pkey", _CHECKPOINTS, ["name", "version"])
    for column in ("build", "role", "place", "tables", "paused", "created_at"):
        op.drop_column(_CHECKPOINTS, column)
