"""Projections as of a position: folded once more from the first event, into tables that only the question sees.

The fold is the projection's own, and so are the questions that are asked: only the place of the tables is another. They
are temporary ones of a session of its own, which come before all others in its search path; as soon as they are made,
the transaction may change nothing else, and it is always rolled back.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psycopg
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from send2llm.application.projections import Projection, reads_texts
from send2llm.domain.errors import ConfigurationError, StoreUnavailable
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.projections.checkpoints import BuildKey, Checkpoint
from send2llm.infrastructure.projections.failures import is_passing, reason_of
from send2llm.infrastructure.projections.log_pages import EventDecoder, LogPages
from send2llm.infrastructure.projections.views import create_temporary_views

T = TypeVar("T")
Question = Callable[[Connection], T]

PAGE = 5_000
_FIRST_LOOK = 20_000
"""Events after which the planner is told how large the tables are; then whenever they may have doubled."""

_SESSION = text(
    "SELECT set_config('temp_buffers', '64MB', false), "
    "set_config('search_path', 'pg_temp, ' || current_setting('search_path'), false)"
)
_NOTHING_ELSE = text("SET TRANSACTION READ ONLY")


class _Abandoned(Exception):
    """Nobody waits for the answer any more."""


class ProjectionsAsOf:
    """Answers questions on projections as they were.

    One after the other in each process: a fold keeps a processor busy, and others need it for calls.
    """

    def __init__(self, database: ConnectionInfo, decoder: EventDecoder) -> None:
        self._engine = create_engine(
            database.sqlalchemy_url,
            poolclass=NullPool,
            hide_parameters=True,
            isolation_level="REPEATABLE READ",
            connect_args={"application_name": "send2llm as of"},
        )
        self._pages = LogPages(decoder)
        self._turn = asyncio.Semaphore(1)

    async def ask(self, projection: Projection, position: int, question: Question[T]) -> T:
        """What ``question`` finds in the projection's tables after the event at ``position`` and all before it.

        The question is asked in a thread, and may read nothing but the connection that it is given. Raises
        ``StoreUnavailable``, ``ConfigurationError`` when the role may not make temporary tables, what the fold raises,
        and what the question does.
        """
        async with self._turn:
            left = threading.Event()
            answering = asyncio.ensure_future(asyncio.to_thread(self._answer, projection, position, question, left))
            try:
                return await asyncio.shield(answering)
            except asyncio.CancelledError:
                left.set()
                with suppress(Exception):  # whatever became of it, nobody asks
                    await answering
                raise

    def _answer(self, projection: Projection, position: int, question: Question[T], left: threading.Event) -> T:
        try:
            with self._engine.connect() as connection:  # which rolls back
                _make_tables(connection, projection)
                self._fold(connection, projection, position, left)
                return question(connection)
        except psycopg.errors.UndefinedTable:
            raise StoreUnavailable("There are no tables yet to read events from; run `send2llm migrate`.") from None
        except (DBAPIError, psycopg.Error) as error:
            if not is_passing(error):
                raise
            raise StoreUnavailable(
                f"The past cannot be read ({reason_of(error)}). Try again; `send2llm doctor` checks the database."
            ) from error

    def _fold(self, connection: Connection, projection: Projection, position: int, left: threading.Event) -> None:
        topics, texts = sorted(projection.topics), reads_texts(projection)
        skipped = Checkpoint(BuildKey(projection.name, projection.version)).skipped(connection)
        reached, count, look_at = 0, 0, _FIRST_LOOK
        while reached < position:
            if left.is_set():
                raise _Abandoned
            page = self._pages.read(
                connection, reached, PAGE, topics, texts=texts, up_to=position, skipped=skipped, only_wanted=True
            )
            if page.events:
                projection.fold(page.events, connection)
            if page.count < PAGE:
                return
            reached, count = page.last, count + page.count
            if count >= look_at:
                _tell_the_planner(connection, projection)
                look_at *= 2


def _make_tables(connection: Connection, projection: Projection) -> None:
    """Empty ones and their views; from then on nothing but temporary tables can be changed."""
    try:
        connection.execute(_SESSION)
        projection.tables.create_all(connection, checkfirst=False)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise ConfigurationError(
                "To see the past, the database's role must be allowed to make temporary tables: "
                "GRANT TEMPORARY ON DATABASE ... TO ..."
            ) from None
        raise
    create_temporary_views(connection, projection)
    connection.execute(_NOTHING_ELSE)


def _tell_the_planner(connection: Connection, projection: Projection) -> None:
    """Nobody analyses temporary tables by himself, and an empty one is best read whole, which a large one is not."""
    for table in projection.tables.sorted_tables:
        connection.execute(text(f"ANALYZE {connection.dialect.identifier_preparer.format_table(table)}"))
