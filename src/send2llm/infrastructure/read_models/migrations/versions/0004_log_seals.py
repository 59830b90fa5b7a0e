"""Seals of the log."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; its rows are never changed, like the events that they seal."""
    op.create_table(
        "log_seals",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("chain", sa.Uuid(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("links", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.execute(
        """
        CREATE FUNCTION log_seals_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% on log_seals refused: seals are never changed or removed', tg_op
            USING ERRCODE = 'restrict_violation';
        END
        $$;
        CREATE TRIGGER log_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_seals
            FOR EACH STATEMENT EXECUTE FUNCTION log_seals_refuse_change()
        """
    )


def downgrade() -> None:
    """Without seals nothing proves that the log was not changed; the events stay."""
    op.drop_table("log_seals")
    op.execute("DROP FUNCTION log_seals_refuse_change()")
