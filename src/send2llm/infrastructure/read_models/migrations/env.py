"""Alembic's entry: runs the migrations on the connection that it is given."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    # One transaction for all: a migration that fails leaves the schema that was there before.
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
