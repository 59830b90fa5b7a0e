"""Tests of projections in a few lines: events that happened, and the rows that they lead to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg

from send2llm.application.projections import Projection
from send2llm.domain.conversation_events import ConversationEvent
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.timing import Timing
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.event_writer import EventWriter, received
from send2llm.testing.eventually import eventually
from send2llm.testing.postgres import TestDatabaseServer

Rows = Callable[[str], list[tuple[Any, ...]]]
"""Runs a query and gives its rows."""

_QUICK = Timing(page_size=100, poll=0.05, linger=0.0)
_STANDS = (
    "SELECT position >= (SELECT coalesce(max(notification_id), 0) FROM stored_events)"
    " AND NOT EXISTS (SELECT FROM unnest(tables) AS made WHERE to_regclass(quote_ident(made)) IS NULL),"
    " failed_position, reason FROM projection_checkpoints"
)


@contextmanager
def folded(projection: Projection, *events: ConversationEvent) -> Iterator[Rows]:
    """The tables of a projection that has folded ``events``, each in a conversation of its own.

    They are in a PostgreSQL of the test's own, which needs no set-up, and are gone afterwards. Raises
    ``AssertionError`` with what the fold raised.
    """
    with _own_database() as database:
        migrate(database)
        with EventWriter(database) as writer:
            for event in events:
                writer.write(uuid4(), event)
        with (
            Projector(database, [projection], EventCodec(EventRegistry.default()), _QUICK).running(),
            psycopg.connect(database.dsn, autocommit=True) as connection,
        ):
            eventually(lambda: _is_folded(connection))
            yield lambda query: connection.execute(query.encode()).fetchall()


@contextmanager
def _own_database() -> Iterator[ConnectionInfo]:
    with TestDatabaseServer() as server:
        database = server.create_database()
        try:
            yield database
        finally:
            server.drop(database)


def _is_folded(connection: psycopg.Connection[Any]) -> bool:
    for folded, position, reason in connection.execute(_STANDS):
        if reason is not None:
            raise AssertionError(f"The projection failed{f' at event {position}' if position else ''}: {reason}")
        return bool(folded)
    return False


def answered(
    model: str = "parrot", text: str = "Polly wants a cracker.", *, cost_usd: Decimal | None = None, **further: Any
) -> ConversationEvent:
    """A model's answer; ``further`` may name its ``provider`` and ``usage``."""
    return received(uuid4(), text, model=model, cost_usd=cost_usd, **further)
