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

from send2llm.application.projections import Projection
from send2llm.domain.errors import StoreUnavailable
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.projections.failures import is_passing, reason_of
from send2llm.infrastructure.projections.log_pages import EventDecoder, LogPages
from send2llm.infrastructure.projections.past_fold import ALL, PastFold
from send2llm.infrastructure.projections.untouched import ConversationColumns

T = TypeVar("T")
Question = Callable[[Connection], T]


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

    async def ask(
        self, projection: Projection, position: int, question: Question[T], by_conversation: ConversationColumns = ALL
    ) -> T:
        """What ``question`` finds in the projection's tables after the event at ``position`` and all before it.

        The question is asked in a thread, and may read nothing but the connection that it is given. If it reads some
        tables only, by their views, whose rows all belong to conversations, ``by_conversation`` makes it faster. Raises
        ``StoreUnavailable``, ``ConfigurationError`` when the role may not make temporary tables or the fold leaves
        the program, what else the fold raises, and what the question does.
        """
        async with self._turn:
            left = threading.Event()
            fold = PastFold(self._pages, projection, position, by_conversation, left)
            answering = asyncio.ensure_future(asyncio.to_thread(self._answer, fold, question))
            try:
                return await asyncio.shield(answering)
            except asyncio.CancelledError:
                left.set()
                with suppress(Exception):  # whatever became of it, nobody asks
                    await answering
                raise

    def _answer(self, fold: PastFold, question: Question[T]) -> T:
        try:
            with self._engine.connect() as connection:  # which rolls back
                try:
                    fold.make(connection)
                except (DBAPIError, psycopg.Error) as error:
                    if isinstance(_cause(error), psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
                        self._tell_what_is_missing(fold)
                    raise
                return question(connection)
        except (DBAPIError, psycopg.Error) as error:
            if not is_passing(error):
                raise
            raise StoreUnavailable(
                f"The past cannot be read ({reason_of(error)}). Try again; `send2llm doctor` checks the database."
            ) from error

    def _tell_what_is_missing(self, fold: PastFold) -> None:
        """Raise ``StoreUnavailable`` unless it is a table that only the fold knows of."""
        with self._engine.connect() as another:
            if not another.execute(_IS_PREPARED).scalar_one():
                raise StoreUnavailable("There are no tables yet to read events from; run `send2llm migrate`.") from None
        if fold.by_conversation:  # the live build was found, and its tables were not
            raise StoreUnavailable("Tables of the projection were moved or dropped just now. Try again.") from None


_IS_PREPARED = text(
    "SELECT to_regclass('stored_events') IS NOT NULL AND to_regclass('projection_checkpoints') IS NOT NULL"
)


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
