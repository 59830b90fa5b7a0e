"""The one thread of a process that writes events: it takes what waits, stores it, and answers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import RLock, Thread, current_thread
from time import monotonic, sleep
from typing import Any, TypeAlias

import structlog
from eventsourcing.persistence import PersistenceError

from send2llm.infrastructure.event_store import append_function
from send2llm.infrastructure.event_store.append_queue import AppendQueue, Submission
from send2llm.infrastructure.event_store.errors import EventStoreUnavailable, KeyNotStored, VersionConflict
from send2llm.infrastructure.event_store.writer_connection import AnswerLost, NotNow, WriterConnection

logger = structlog.get_logger(__name__)

Outcome: TypeAlias = Sequence[int] | Exception

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class GroupCommitOptions:
    """Limits of the writer. Times are in seconds.

    ``retry_for``: how long an append is retried after the database stopped answering, before it fails.
    ``lock_timeout``: how long one try waits for the table lock.
    ``answer_timeout``: how long one try waits for the server before its connection counts as lost.
    """

    max_waiting_appends: int = 10_000
    max_waiting_bytes: int = 256 * 1024 * 1024
    max_batch_events: int = 1_000
    max_batch_bytes: int = 8 * 1024 * 1024
    retry_for: float = 10.0
    lock_timeout: float = 5.0
    answer_timeout: float = 30.0


class BatchWriter:
    """Stores everything that waits as one transaction, then whatever has come meanwhile as the next.

    Nothing is waited for on purpose: a lone append is stored at once, and while one batch is being committed
    the next one fills. The thread starts with the first append. It is a daemon, so that a program which
    forgets to call ``close`` can end; the recorder sees to it that what was accepted is stored first.
    """

    def __init__(self, connect: Callable[[], WriterConnection], options: GroupCommitOptions) -> None:
        self._connect = connect
        self._options = options
        self._queue = AppendQueue(max_appends=options.max_waiting_appends, max_bytes=options.max_waiting_bytes)
        self._thread: Thread | None = None
        self._starting = RLock()
        self._connection: WriterConnection | None = None
        self._outage_began: float | None = None

    @property
    def waiting(self) -> int:
        """How many appends wait that the writer has not taken yet."""
        return len(self._queue)

    def submit(self, submission: Submission) -> None:
        """Accept an append, at once. Raises AppendQueueFull or RecorderClosed."""
        self._queue.put(submission)
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Take no more appends, store or fail those that were accepted, and end the thread."""
        self._queue.close()
        with self._starting:
            thread = self._thread
        # The collector of garbage may close a forgotten recorder from any thread, this one too.
        if thread is not None and thread is not current_thread():
            thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="event-store-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        limits = self._options
        while batch := self._queue.take(max_events=limits.max_batch_events, max_bytes=limits.max_batch_bytes):
            try:
                self._store(batch)
            except Exception as error:  # whatever it was, the callers must hear of it, and the thread live for the next
                logger.exception("event_store.writer_failed", appends=len(batch))
                self._disconnect()
                _answer([(submission, error) for submission in batch])
        self._disconnect()

    def _store(self, batch: list[Submission], *, in_doubt: bool = False) -> None:
        """Store a batch or fail it. ``in_doubt``: an earlier try may have stored it already."""
        pause = _FIRST_PAUSE
        while True:
            began = monotonic()
            try:
                ids, verdicts = self._call(batch)
            except (NotNow, AnswerLost) as trouble:
                in_doubt = in_doubt or isinstance(trouble, AnswerLost)
                self._note_outage(began, trouble)
                if self._is_overdue(batch):
                    self._give_up(batch, trouble, in_doubt=in_doubt)
                    return
                sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except PersistenceError as refusal:
                self._single_out(batch, refusal, in_doubt=in_doubt)
                return
            else:
                self._note_recovery()
                _answer(_outcomes(batch, ids, verdicts, in_doubt=in_doubt))
                return

    def _call(self, batch: list[Submission]) -> tuple[list[int], list[int]]:
        parameters = append_function.encode([submission.append for submission in batch])
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection.call(parameters)

    def _single_out(self, batch: list[Submission], refusal: PersistenceError, *, in_doubt: bool) -> None:
        """The database refused the batch: store each append on its own, so that only the culprit fails."""
        if len(batch) == 1:
            _answer([(batch[0], refusal)])
        elif self._connection is None:
            # The connection itself was refused, not what the appends hold.
            _answer([(submission, refusal) for submission in batch])
        else:
            for submission in batch:
                self._store([submission], in_doubt=in_doubt)

    def _is_overdue(self, batch: list[Submission]) -> bool:
        since = max(self._outage_began or 0.0, batch[-1].accepted_at)
        return monotonic() >= since + self._options.retry_for

    def _give_up(self, batch: list[Submission], trouble: Exception, *, in_doubt: bool) -> None:
        overdue = self._queue.take_accepted_before(monotonic() - self._options.retry_for)
        logger.error("event_store.gave_up", appends=len(batch) + len(overdue), reason=str(trouble))
        _answer(
            [(submission, self._unavailable(trouble, outcome_unknown=in_doubt)) for submission in batch]
            + [(submission, self._unavailable(trouble, outcome_unknown=False)) for submission in overdue]
        )

    def _unavailable(self, trouble: Exception, *, outcome_unknown: bool) -> EventStoreUnavailable:
        outcome = (
            "They may have been stored before the connection broke; repeating the append is safe."
            if outcome_unknown
            else "They were not stored."
        )
        return EventStoreUnavailable(
            f"Events could not be stored for {self._options.retry_for:g} s: {trouble}. {outcome} "
            "`send2llm doctor` checks the database.",
            outcome_unknown=outcome_unknown,
        )

    def _note_outage(self, began: float, trouble: Exception) -> None:
        if self._outage_began is None:
            self._outage_began = began
            logger.warning("event_store.retrying", reason=str(trouble), retry_for=self._options.retry_for)

    def _note_recovery(self) -> None:
        if self._outage_began is not None:
            logger.info("event_store.recovered", seconds=round(monotonic() - self._outage_began, 3))
            self._outage_began = None

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _outcomes(
    batch: list[Submission], ids: list[int], verdicts: list[int], *, in_doubt: bool
) -> list[tuple[Submission, Outcome]]:
    outcomes: list[tuple[Submission, Outcome]] = []
    start = 0
    for submission, verdict in zip(batch, verdicts, strict=True):
        end = start + submission.events
        if verdict == append_function.STORED or (
            verdict == append_function.ALREADY_STORED and (submission.repeatable or in_doubt)
        ):
            outcomes.append((submission, ids[start:end]))
        elif verdict == append_function.KEY_NOT_STORED:
            outcomes.append((submission, KeyNotStored([key.originator_id for key in submission.append.needed_keys])))
        else:
            event = submission.append.events[max(verdict, 1) - 1]
            outcomes.append((submission, VersionConflict(str(event.originator_id), event.originator_version)))
        start = end
    return outcomes


def _answer(outcomes: Iterable[tuple[Submission, Outcome]]) -> None:
    """Tell every caller; each event loop is woken once, however many of its tasks wait."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Outcome]]] = {}
    for submission, outcome in outcomes:
        if isinstance(submission.future, Future):
            _resolve([(submission.future, outcome)])
        elif submission.loop is not None:
            by_loop.setdefault(submission.loop, []).append((submission.future, outcome))
    for loop, resolutions in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, resolutions)
        except RuntimeError:
            # The loop was closed meanwhile: the events are stored, and nobody is left to be told.
            logger.info("event_store.nobody_waits", appends=len(resolutions))


def _resolve(resolutions: Iterable[tuple["Future[Any] | asyncio.Future[Any]", Outcome]]) -> None:
    for future, outcome in resolutions:
        if future.done():
            continue  # its waiter was cancelled, or it was answered before something else failed
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
