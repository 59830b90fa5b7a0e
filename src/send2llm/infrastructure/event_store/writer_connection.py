"""The writer's own connection: one call of the append function, and an answer that can be believed.

libpq is called through ``psycopg.pq``, the documented low-level interface of psycopg, because a cursor costs
about as much Python time as all the rest of a batch. The interpreter lock is released once, while the thread
waits for the answer.
"""

import select
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import psycopg
from eventsourcing.persistence import (
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
)
from psycopg import generators, pq

from send2llm.infrastructure.event_store import append_function
from send2llm.infrastructure.event_store.append_function import PARAMETER_TYPES, AppendFunction

_STATEMENT = b"append"
_BINARY = 1
_READY_TO_READ, _READY_TO_WRITE = 1, 2

_SESSION = """
SELECT set_config('lock_timeout', %s, false),
       set_config('statement_timeout', %s, false),
       set_config('idle_session_timeout', '0', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('enable_seqscan', 'off', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false),
       set_config('jit', 'off', false)
"""
# READ COMMITTED, or the function would look for conflicts in a snapshot from before the lock.
# A generic plan, because planning for short arrays anew each time takes longer than running the plan.
# The planner's switches, because that plan is kept: one made while the table was small would go on reading
# the whole table when it is large. JIT, because switched-off plans look costly enough to be compiled.

_PASSING_CLASSES = ("08", "40", "53", "57", "58")
"""SQLSTATE classes of trouble that passes: connection, rollback, resources, operator, system."""
_PASSING_STATES = frozenset({"55P03", "25006"})
"""Lock not available in time; a server that is read-only because it was just demoted."""

_LIBRARY_ERRORS: tuple[tuple[type[psycopg.Error], type[PersistenceError]], ...] = (
    (psycopg.DataError, DataError),
    (psycopg.OperationalError, OperationalError),
    (psycopg.IntegrityError, IntegrityError),
    (psycopg.InternalError, InternalError),
    (psycopg.ProgrammingError, ProgrammingError),
    (psycopg.NotSupportedError, NotSupportedError),
)


class NotNow(Exception):
    """Nothing was stored, for a reason that may pass."""


class AnswerLost(Exception):
    """The append was sent and the connection is gone: it may have been stored or not."""


class WriterConnection:
    """A connection prepared to store batches.

    ``lock_timeout`` and ``answer_timeout`` are in seconds: how long the server waits for the table lock, and
    how long the client waits for the server.

    Raises NotNow when there is no connection to be had now, and an error of the library when the database has
    no append function or refuses the session.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        function: AppendFunction,
        *,
        lock_timeout: float,
        answer_timeout: float,
    ) -> None:
        self._answer_timeout = answer_timeout
        try:
            self._connection = connect()
        except psycopg.Error as error:
            raise NotNow(f"no connection to the database: {str(error).strip()}") from error
        self._pgconn = self._connection.pgconn
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, 0)
        try:
            self._connection.autocommit = True
            timeouts = (f"{lock_timeout * 1000:.0f}ms", f"{answer_timeout * 1000:.0f}ms")
            self._connection.execute(_SESSION, timeouts)
            self._prepare(function.call_statement)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise NotNow(f"the connection to the database broke: {str(error).strip()}") from error
        except psycopg.Error as error:
            self.close()
            raise _library_error(error) from error

    def close(self) -> None:
        self._connection.close()

    @property
    def closed(self) -> bool:
        return self._connection.closed

    def call(self, parameters: list[bytes]) -> tuple[list[int], list[int]]:
        """Store one batch; returns ids and verdicts as ``append_function.decode`` gives them.

        Raises NotNow or AnswerLost, and an error of the library when the database refuses the batch for good;
        then nothing of it was stored.
        """
        result = self._believable_result(parameters)
        ids, verdicts = result.get_value(0, 0), result.get_value(0, 1)
        if ids is None or verdicts is None:
            raise ProgrammingError("The append function gave no answer. Was it replaced by another?")
        return append_function.decode(ids, verdicts)

    def _prepare(self, statement: bytes) -> None:
        result = self._pgconn.prepare(_STATEMENT, statement, PARAMETER_TYPES)
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)

    def _believable_result(self, parameters: list[bytes]) -> pq.abc.PGresult:
        """The answer, once the server has said that the transaction is over.

        The row arrives before the commit: it counts only when no error and no end of the connection follows.
        """
        try:
            self._pgconn.send_query_prepared(_STATEMENT, parameters, [_BINARY] * len(parameters), _BINARY)
            results = self._wait_for_results()
        except psycopg.Error as error:
            self.close()
            raise AnswerLost(f"the connection to the database broke: {str(error).strip()}") from error
        failed = next((result for result in results if result.status != pq.ExecStatus.TUPLES_OK), None)
        if self._pgconn.status != pq.ConnStatus.OK:
            reason = _describe(psycopg.errors.error_from_result(failed)) if failed else "the server closed it"
            self.close()
            raise AnswerLost(f"the connection to the database broke: {reason}")
        if failed is None:
            return results[0]
        refusal = psycopg.errors.error_from_result(failed)
        if _passes(refusal.sqlstate or ""):
            raise NotNow(_describe(refusal))
        raise _library_error(refusal)

    def _wait_for_results(self) -> list[pq.abc.PGresult]:
        """Drive psycopg's protocol generator, but not for ever, as psycopg would."""
        exchange = generators.execute(self._pgconn)
        deadline = monotonic() + self._answer_timeout
        try:
            wanted = int(next(exchange))
            while True:
                ready = self._wait_for_socket(wanted, deadline - monotonic())
                if not ready:
                    raise psycopg.OperationalError(f"no answer within {self._answer_timeout:g} s")
                wanted = int(exchange.send(cast("Any", ready)))
        except StopIteration as finished:
            return cast("list[pq.abc.PGresult]", finished.value)

    def _wait_for_socket(self, wanted: int, seconds: float) -> int:
        events = (select.POLLIN if wanted & _READY_TO_READ else 0) | (select.POLLOUT if wanted & _READY_TO_WRITE else 0)
        self._poll.modify(self._pgconn.socket, events)
        happened = self._poll.poll(max(0.0, seconds) * 1000)
        if not happened:
            return 0
        # An error or a hang-up is for libpq to read.
        ready = _READY_TO_WRITE if happened[0][1] & select.POLLOUT else 0
        return ready | (_READY_TO_READ if happened[0][1] & ~select.POLLOUT else 0)


def _passes(sqlstate: str) -> bool:
    return sqlstate in _PASSING_STATES or sqlstate.startswith(_PASSING_CLASSES)


def _describe(error: psycopg.Error) -> str:
    if error.sqlstate == "55P03":
        return "another session holds a lock on the event table (see pg_locks and pg_stat_activity)"
    return f"{error.diag.message_primary or 'unknown reason'} (SQLSTATE {error.sqlstate})"


def _library_error(error: psycopg.Error) -> PersistenceError:
    """Primary message and code only: the details of an error can quote what was to be stored."""
    remedy = (
        " Is the schema of the event store missing or old? `send2llm migrate` makes it."
        if (error.sqlstate or "").startswith("42")
        else ""
    )
    for theirs, library in _LIBRARY_ERRORS:
        if isinstance(error, theirs):
            return library(_describe(error) + remedy)
    return DatabaseError(_describe(error) + remedy)
