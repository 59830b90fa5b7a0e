"""The end of the log, read once for all followers of a process.

Each new event is read and made a document once, however many follow, and kept until newer ones push it out. A follower
takes from here at its own pace; one that falls behind what is kept reads from the database by itself until it is back.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import structlog

from send2llm.application.published_events import PublishedEvent, PublishedPage, Wanted
from send2llm.domain.errors import Send2LLMError, StoreUnavailable, UnreadableEvent
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.feed.pages import EventPages

log = structlog.get_logger(__name__)

Hear = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""Calls what it is given whenever events were stored, until cancelled."""


@dataclass(frozen=True, slots=True)
class TailLimits:
    """Sizes in events and bytes, times in seconds.

    ``poll``: how long a lost wake-up may go unnoticed. ``linger``: the least time from one look at the log to the next;
    after a quiet moment an event is told at once, in a steady stream fifty looks a second are enough.
    """

    kept_events: int = 10_000
    kept_bytes: int = 16 * 1024 * 1024
    page: int = 500
    page_bytes: int = 1024 * 1024
    poll: float = 1.0
    linger: float = 0.02


EVERYTHING = Wanted()
ERASED_TOPIC = "conversation.erased"
_POSITION = attrgetter("position")


class LogTail:
    """Keeps the newest events while somebody follows."""

    def __init__(self, pages: EventPages, hear: Hear, limits: TailLimits | None = None) -> None:
        self._pages = pages
        self._hear = hear
        self._limits = limits or TailLimits()
        self._alarm = asyncio.Event()
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._forget()

    def _forget(self) -> None:
        self._kept: list[PublishedEvent] = []
        self._bytes = 0
        self._begin: int | None = None
        """All events after this position and up to ``_reached`` are kept; ``None`` before the first look."""
        self._reached = 0
        self._failure: Send2LLMError | None = None
        self._news = asyncio.Event()

    @asynccontextmanager
    async def shared(self) -> AsyncGenerator[None]:
        """Read on for as long as anybody is in such a block."""
        self._followers += 1
        if self._task is None:
            self._forget()
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers and self._task is not None:
                task, self._task = self._task, None
                # Nobody has to wait for that: to stop connecting may take a second.
                ending = asyncio.create_task(end_tasks(task))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    def after(self, position: int) -> PublishedPage | None:
        """A page of what is kept after a position; ``None`` when more than that came after it.

        ``None`` also before an event that cannot be read. Raises what else keeps the log from being read on.
        """
        if self._task is not None and self._task.done():
            self._task.result()  # it ends by a bug only: followers shall not wait for ever
        if self._begin is None or position < self._begin:
            return None
        first = bisect_right(self._kept, position, key=_POSITION)
        if first == len(self._kept):
            if self._failure is not None:
                raise self._failure
            return PublishedPage((), max(position, self._reached))
        events, size = [], 0
        for event in self._kept[first : first + self._limits.page]:
            events.append(event)
            size += len(event.document)
            if size >= self._limits.page_bytes:
                break
        whole = first + len(events) == len(self._kept)
        return PublishedPage(events, self._reached if whole else events[-1].position, more=not whole)

    async def news(self, seconds: float) -> None:
        """Wait until there is something new, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def wake_all(self) -> None:
        """Let all followers look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def _run(self) -> None:
        hearing = asyncio.create_task(self._hear(self._alarm.set))
        now = asyncio.get_running_loop().time
        try:
            while True:
                began = now()
                self._alarm.clear()
                if await self._advance():
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.poll):
                        await self._alarm.wait()
                await asyncio.sleep(max(0.0, began + self._limits.linger - now()))
        finally:
            await end_tasks(hearing)

    async def _advance(self) -> bool:
        """Take in the next page; whether there is more already."""
        try:
            if self._begin is None:
                self._reached = self._begin = await self._pages.head()
                self.wake_all()
            page = await self._pages.read(self._reached, self._limits.page, EVERYTHING, self._limits.page_bytes)
        except StoreUnavailable:
            log.info("feed.waits_for_the_database")
            return False
        except Send2LLMError as error:
            stepped_over = self._step_over(error)
            self._failure = None if stepped_over else error
            self.wake_all()
            return stepped_over
        self._failure = None
        if page.events:
            self._keep(page)
            self.wake_all()
        return page.more

    def _step_over(self, error: Send2LLMError) -> bool:
        """Go on behind an event that cannot be read. Who has not come to it yet reads by itself, and is told there."""
        if not isinstance(error, UnreadableEvent) or error.position is None:
            return False
        self._kept, self._bytes = [], 0
        self._begin = self._reached = error.position
        return True

    def _keep(self, page: PublishedPage) -> None:
        if any(event.topic == ERASED_TOPIC for event in page.events):
            # What is kept may hold what was erased: whoever wants it reads it anew.
            self._kept, self._bytes, self._begin = [], 0, self._reached
        self._kept.extend(page.events)
        self._reached = page.reached
        self._bytes += sum(len(event.document) for event in page.events)
        dropped = max(0, len(self._kept) - self._limits.kept_events)
        self._bytes -= sum(len(event.document) for event in self._kept[:dropped])
        while self._bytes > self._limits.kept_bytes:
            self._bytes -= len(self._kept[dropped].document)
            dropped += 1
        if dropped:
            self._begin = self._kept[dropped - 1].position
            del self._kept[:dropped]
