"""A stage for projections, and the builds upon it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Engine, NullPool, create_engine
from stage import Builds, Stage

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.testing.event_writer import EventWriter


@pytest.fixture
def stage(migrated: ConnectionInfo, writer: EventWriter) -> Iterator[Stage]:
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        yield Stage(connection, migrated, writer)


@pytest.fixture
def codec() -> EventCodec:
    return EventCodec(EventRegistry.default())


@pytest.fixture
def statuses(pool: AsyncConnectionPool, codec: EventCodec) -> PostgresProjections:
    return PostgresProjections(pool, codec)


@pytest.fixture
def builds(migrated: ConnectionInfo, statuses: PostgresProjections) -> Builds:
    return Builds(migrated, statuses)


@pytest.fixture
def engine(migrated: ConnectionInfo) -> Engine:
    """Each connection is one to the server, and ends with its block."""
    return create_engine(migrated.sqlalchemy_url, poolclass=NullPool)
