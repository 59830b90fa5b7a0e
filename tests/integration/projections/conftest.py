"""A projector at work, and ways to look at what it did."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import uuid4

import psycopg
import pytest
from onlooker import QUICK, Onlooker, Project
from psycopg_pool import AsyncConnectionPool

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.infrastructure.projections.timing import Timing
from send2llm.projections import Projection
from send2llm.testing.event_writer import EventWriter, said


@pytest.fixture
def onlooker(migrated: ConnectionInfo) -> Iterator[Onlooker]:
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        yield Onlooker(connection)


@pytest.fixture
def codec() -> EventCodec:
    return EventCodec(EventRegistry.default())


@pytest.fixture
def project(migrated: ConnectionInfo, codec: EventCodec) -> Project:
    """Runs projections in the background of a ``with`` block."""

    def run(*projections: Projection, timing: Timing = QUICK) -> AbstractContextManager[None]:
        return Projector(migrated, projections, codec, timing).running()

    return run


@pytest.fixture
def say(writer: EventWriter) -> Callable[..., None]:
    """Stores messages, each in a conversation of its own, ten to a commit."""

    def store(*texts: str) -> None:
        rows = [row for text in texts for row in writer.prepare(uuid4(), said(text))]
        for start in range(0, len(rows), 10):
            writer.store(rows[start : start + 10])

    return store


@pytest.fixture
def statuses(pool: AsyncConnectionPool, codec: EventCodec) -> PostgresProjections:
    return PostgresProjections(pool, codec)


@pytest.fixture
def builds(migrated: ConnectionInfo, statuses: PostgresProjections) -> PostgresProjectionBuilds:
    return PostgresProjectionBuilds(migrated, statuses)
