"""The recorder of events: the ``eventsourcing`` library's, with one writer that commits in groups.

The library's own recorder takes the table lock and waits for the disk once for each append; many callers
queue for the lock. Here all callers of a process hand their appends to one thread, which stores what waits as
one transaction under the same lock. Reading is the library's.
"""

import asyncio
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import psycopg
from eventsourcing.persistence import NotSupportedError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from send2llm.infrastructure.event_store.append import Append, TranscriptHead
from send2llm.infrastructure.event_store.append_queue import Submission
from send2llm.infrastructure.event_store.batch_writer import BatchWriter, GroupCommitOptions
from send2llm.infrastructure.event_store.guards import check_datastore
from send2llm.infrastructure.event_store.schema import HEADS_TABLE, KEYS_TABLE, EventStoreSchema
from send2llm.infrastructure.event_store.writer_connection import WriterConnection

__all__ = ["Append", "GroupCommitOptions", "GroupCommitRecorder", "TranscriptHead"]

_APPLICATION_NAME = "send2llm event writer"
_CONNECT_TIMEOUT = 5


class GroupCommitRecorder(PostgresApplicationRecorder):
    """An application recorder for many concurrent callers.

    An append is a promise from the moment it is accepted: it is stored, or its caller is told why not, and
    whether that is certain. A caller who stops waiting does not take it back.
    """

    def __init__(
        self,
        datastore: PostgresDatastore,
        *,
        events_table_name: str = "stored_events",
        heads_table_name: str = HEADS_TABLE,
        keys_table_name: str = KEYS_TABLE,
        options: GroupCommitOptions | None = None,
    ) -> None:
        check_datastore(datastore)
        super().__init__(datastore, events_table_name=events_table_name)
        # The library's function for appends takes no lock; it must not even lie about.
        del self.sql_create_statements[self.create_insert_function_statement_index]
        self.schema = EventStoreSchema(
            schema=datastore.schema,
            events_table=events_table_name,
            heads_table=heads_table_name,
            keys_table=keys_table_name,
            library_statements=tuple(self.sql_create_statements),
        )
        limits = options or GroupCommitOptions()
        function = self.schema.append_function

        def connect() -> WriterConnection:
            return WriterConnection(
                lambda: _connect_as(datastore),
                function,
                lock_timeout=limits.lock_timeout,
                answer_timeout=limits.answer_timeout,
            )

        self._writer = BatchWriter(connect, limits)
        # Runs at the end of the interpreter too, before daemon threads are stopped.
        self._closer = weakref.finalize(self, self._writer.close)

    @property
    def waiting_appends(self) -> int:
        """How many appends wait that the writer has not taken yet."""
        return self._writer.waiting

    def submit(self, append: Append) -> Future[Sequence[int]]:
        """Hand over an append from any thread; the result is the notification id of each event.

        Never blocks. Raises AppendQueueFull or RecorderClosed at once. The future fails with VersionConflict,
        EventStoreUnavailable, or another error of the library; it cannot be cancelled.
        """
        future: Future[Sequence[int]] = Future()
        future.set_running_or_notify_cancel()
        self._writer.submit(Submission(append, future))
        return future

    def append(self, append: Append) -> asyncio.Future[Sequence[int]]:
        """As ``submit``, for a task on the running event loop: ``ids = await recorder.append(append)``.

        Cancelling the task ends its waiting only: the append is stored all the same.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[int]] = loop.create_future()
        self._writer.submit(Submission(append, future, loop))
        return future

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """The library's way in: blocks until the events are stored; not for the event loop.

        As the library promises, events that are stored already raise IntegrityError, unless it was this very
        call that stored them before its connection broke.
        """
        if kwargs:
            raise NotSupportedError(f"A group commit stores events only, not {', '.join(sorted(kwargs))}.")
        if not stored_events:
            return []
        future: Future[Sequence[int]] = Future()
        future.set_running_or_notify_cancel()
        self._writer.submit(Submission(Append(stored_events), future, repeatable=False))
        return future.result()

    def create_table(self) -> None:
        """Create whatever of the event store is missing; several processes may do so at once."""
        with self.datastore.get_connection() as connection:
            self.schema.ensure(connection)
        self.datastore.register_type_adapters()

    def close(self) -> None:
        """Take no more appends, finish those that were accepted, and give up the connection."""
        self._closer()


def _connect_as(datastore: PostgresDatastore) -> psycopg.Connection[Any]:
    """A connection of its own, with the parameters of the datastore's pool."""
    pool = datastore.pool
    conninfo = pool.conninfo() if callable(pool.conninfo) else pool.conninfo
    parameters = dict((pool.kwargs() if callable(pool.kwargs) else pool.kwargs) or {})
    parameters.pop("row_factory", None)
    if pool.get_password_func is not None:
        parameters["password"] = pool.get_password_func()
    parameters.setdefault("connect_timeout", _CONNECT_TIMEOUT)
    parameters.setdefault("application_name", _APPLICATION_NAME)
    return psycopg.Connection.connect(str(conninfo or ""), **parameters)
