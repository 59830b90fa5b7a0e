"""Appends on their way to the database: a bounded queue between many callers and one writer."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Condition
from time import monotonic

from send2llm.infrastructure.event_store.append import Append
from send2llm.infrastructure.event_store.errors import AppendQueueFull, RecorderClosed

_EVENT_OVERHEAD = 100
"""Bytes that an event costs beside its state: ids, topic, Python objects."""


class Submission:
    """One append that waits for its answer, and who is to get it.

    ``repeatable``: rows that are the very same as the events count as this append, stored by an earlier try.
    """

    __slots__ = ("accepted_at", "append", "events", "future", "loop", "repeatable", "size")

    def __init__(
        self,
        append: Append,
        future: "Future[Sequence[int]] | asyncio.Future[Sequence[int]]",
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        repeatable: bool = True,
    ) -> None:
        self.append = append
        self.future = future
        self.loop = loop
        self.repeatable = repeatable
        self.accepted_at = monotonic()
        self.events = len(append.events)
        self.size = sum([len(event.state) for event in append.events]) + self.events * _EVENT_OVERHEAD


class AppendQueue:
    """First in, first out; bounded in appends and in bytes; one taker, who takes batches."""

    def __init__(self, *, max_appends: int, max_bytes: int) -> None:
        self._max_appends = max_appends
        self._max_bytes = max_bytes
        self._waiting: deque[Submission] = deque()
        self._bytes = 0
        self._closed = False
        self._taker_sleeps = False
        self._arrival = Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, submission: Submission) -> None:
        """Add to the end, at once or not at all. Raises AppendQueueFull or RecorderClosed."""
        with self._arrival:
            if self._closed:
                raise RecorderClosed("The event store is shutting down and takes no more events.")
            if len(self._waiting) >= self._max_appends or (
                self._waiting and self._bytes + submission.size > self._max_bytes
            ):
                raise AppendQueueFull(
                    f"{len(self._waiting)} appends of {self._bytes} bytes wait for the database already. "
                    "Try again later; if it lasts, the database is too slow or not reachable."
                )
            self._waiting.append(submission)
            self._bytes += submission.size
            if self._taker_sleeps:
                # Asked for only when somebody sleeps: under load it would cost more than all the rest.
                self._taker_sleeps = False
                self._arrival.notify()

    def take(self, *, max_events: int, max_bytes: int) -> list[Submission]:
        """Wait for the first append, and take all that wait with it, up to the limits.

        An append larger than the limits goes alone. Empty when the queue is closed and nothing is left.
        """
        batch: list[Submission] = []
        with self._arrival:
            while not self._waiting:
                if self._closed:
                    return batch
                self._taker_sleeps = True
                self._arrival.wait()
            while self._waiting:
                following = self._waiting[0]
                max_events -= following.events
                max_bytes -= following.size
                if batch and (max_events < 0 or max_bytes < 0):
                    break
                batch.append(self._pop())
        return batch

    def take_accepted_before(self, moment: float) -> list[Submission]:
        """Take what was accepted before that moment of the monotonic clock, without waiting."""
        taken: list[Submission] = []
        with self._arrival:
            while self._waiting and self._waiting[0].accepted_at < moment:
                taken.append(self._pop())
        return taken

    def close(self) -> None:
        """Take no more; what waits can still be taken."""
        with self._arrival:
            self._closed = True
            self._arrival.notify_all()

    def _pop(self) -> Submission:
        submission = self._waiting.popleft()
        self._bytes -= submission.size
        return submission
