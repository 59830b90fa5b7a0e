"""The database for commands that read it directly: the configured one, or the service's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from send2llm.infrastructure.postgres import ConnectionInfo
    from send2llm.settings import Settings


@contextmanager
def opened_database(settings: "Settings") -> "Iterator[ConnectionInfo]":
    """Where the events are; the embedded PostgreSQL runs at least until the end of the block."""
    from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres

    if settings.database_url is not None:
        yield ConnectionInfo.parse(settings.database_url.get_secret_value())
        return
    with EmbeddedPostgres(settings.data_dir) as postgres:
        yield postgres.connection_info
