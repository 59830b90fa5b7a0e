"""The log for consumers outside, from PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

from send2llm.application.published_events import PublishedPage, Wanted, require_reached
from send2llm.domain.errors import StoreUnavailable
from send2llm.infrastructure.feed.arrivals import hear_of_arrivals
from send2llm.infrastructure.feed.pages import EventPages
from send2llm.infrastructure.feed.tail import LogTail, TailLimits

QUIET_SECONDS = 15.0
"""After so long without an event a follower hears that nothing happened."""

CHANNEL = "stored_events"


class PostgresPublishedEvents:
    """``PublishedEvents``: one listening connection for each process, and one only while somebody follows."""

    def __init__(
        self, pages: EventPages, dsn: str, *, quiet: float = QUIET_SECONDS, limits: TailLimits | None = None
    ) -> None:
        self._pages = pages
        self._quiet = quiet
        self._limits = limits or TailLimits()
        self._tail = LogTail(pages, partial(hear_of_arrivals, dsn, CHANNEL), self._limits)
        self._closed = asyncio.Event()

    async def page(self, after: int, limit: int, wanted: Wanted) -> PublishedPage:
        page = await self._pages.read(after, limit, wanted)
        while page.more and not page.events:
            page = await self._pages.read(page.reached, limit, wanted)
        if not page.events:
            require_reached(after, await self._pages.head())
        return page

    async def head(self) -> int:
        return await self._pages.head()

    def close(self) -> None:
        self._closed.set()
        self._tail.wake_all()

    async def closed(self) -> None:
        await self._closed.wait()

    async def follow(self, after: int, wanted: Wanted) -> AsyncGenerator[PublishedPage]:
        now = asyncio.get_running_loop().time
        position, told_at = after, now()
        is_certain = False
        async with self._tail.shared():
            while not self._closed.is_set():
                page = await self._next(position, wanted)
                is_certain = is_certain or bool(page.events) or await self._is_reached(after)
                if page.events:
                    yield page
                    told_at = now()
                elif now() - told_at >= self._quiet:
                    yield PublishedPage((), page.reached)
                    told_at = now()
                elif page.reached == position and not self._closed.is_set():
                    # Nothing is awaited between the look at what is kept and this: what comes now is not missed.
                    await self._tail.news(min(self._limits.poll, max(0.0, told_at + self._quiet - now())))
                position = page.reached

    async def _is_reached(self, position: int) -> bool:
        """Whether the log has come there; ``False`` while the database is away. Raises ``InvalidRequest`` if not."""
        try:
            require_reached(position, await self._pages.head())
        except StoreUnavailable:
            return False
        return True

    async def _next(self, position: int, wanted: Wanted) -> PublishedPage:
        """What there is after a position, as far as one look goes; nothing while the database is away."""
        page = self._tail.after(position)
        if page is not None:
            return PublishedPage([event for event in page.events if wanted.takes(event)], page.reached, page.more)
        try:
            return await self._pages.read(position, self._limits.page, wanted, self._limits.page_bytes)
        except StoreUnavailable:
            return PublishedPage((), position)
