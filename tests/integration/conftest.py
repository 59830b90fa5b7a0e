"""Databases with all tables, and events in them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.event_writer import EventWriter
from send2llm.testing.postgres import TestDatabaseServer


@pytest.fixture(scope="session")
def migrated_template(postgres_server: TestDatabaseServer) -> Iterator[ConnectionInfo]:
    info = postgres_server.create_database()
    migrate(info)
    yield info
    postgres_server.drop(info)


@pytest.fixture
def migrated(postgres_server: TestDatabaseServer, migrated_template: ConnectionInfo) -> Iterator[ConnectionInfo]:
    """A database of the test's own with every table of Send2LLM, all empty."""
    info = postgres_server.create_database(migrated_template)
    yield info
    postgres_server.drop(info)


@pytest.fixture
def poor_role(migrated: ConnectionInfo) -> Iterator[ConnectionInfo]:
    """The database for a role that may use all tables, and make some: the least with which projections go on."""
    name = f"poor_{uuid4().hex}"
    with psycopg.connect(migrated.dsn, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN".encode())
        owner.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {name}".encode())
        owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}".encode())
        owner.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}".encode())
        yield replace(migrated, user=name)
        owner.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}".encode())


@pytest.fixture
def writer(migrated: ConnectionInfo) -> Iterator[EventWriter]:
    with EventWriter(migrated) as writer:
        yield writer


@pytest.fixture
async def pool(migrated: ConnectionInfo) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(migrated.dsn, min_size=1, max_size=4) as pool:
        yield pool
