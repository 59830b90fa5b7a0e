"""Reads the log and hands it on, page by page, at least once.

The position moves when the broker has said that it has a page. Whatever dies before that, the page is given again, and
the broker knows events that it has by their ids.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from send2llm.application.published_events import PublishedPage, Wanted
from send2llm.domain.errors import StoreUnavailable, UnreadableEvent
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.feed.arrivals import hear_of_arrivals
from send2llm.infrastructure.feed.documents import EventDocuments
from send2llm.infrastructure.feed.pages import EventPages
from send2llm.infrastructure.feed.published import CHANNEL
from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION, NOTICE_VANISHED_CLIENT
from send2llm.infrastructure.projections.failures import is_passing, reason_of
from send2llm.infrastructure.relay.position import RelayPosition
from send2llm.infrastructure.relay.target import EventRefused, RelayFailed, RelayTarget

PAGE = 500
PAGE_BYTES = 1024 * 1024

log = structlog.get_logger(__name__)


class EventRelay:
    """One relays, however many processes run one: whoever has the lease, which ends with its session."""

    def __init__(
        self,
        dsn: str,
        codec: EventCodec,
        name: str,
        target: Callable[[], RelayTarget],
        wanted: Wanted | None = None,
        *,
        poll: float = 1.0,
        retry: float = 2.0,
    ) -> None:
        """``poll`` and ``retry`` in seconds: between two looks when nothing is heard, and after a failure."""
        self._dsn = dsn
        self._documents = EventDocuments(codec)
        self._name = name
        self._target = target
        self._wanted = wanted or Wanted()
        self._poll = poll
        self._retry = retry
        self._alarm = asyncio.Event()

    def run(self, stop: threading.Event) -> None:
        """Relay until told to stop; blocks, with an event loop of its own."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        hearing = asyncio.create_task(hear_of_arrivals(self._dsn, CHANNEL, self._alarm.set))
        try:
            while not stop.is_set():
                try:
                    await self._take_turn(stop)
                except Exception as error:  # noqa: BLE001 - a supervisor: whatever it was, another try may succeed
                    log.warning("relay.interrupted", relay=self._name, reason=reason_of(error))
                    await self._wait(self._retry, stop)
        finally:
            await end_tasks(hearing)

    async def _take_turn(self, stop: threading.Event) -> None:
        async with AsyncExitStack() as stack:
            connection = await psycopg.AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                application_name=f"send2llm {self._name}",
                **LASTING_SESSION,  # type: ignore[arg-type] # libpq's own parameters, beside psycopg's
            )
            await stack.enter_async_context(connection)
            for statement in NOTICE_VANISHED_CLIENT.split(";"):
                await connection.execute(statement.encode())
            position = RelayPosition(connection, self._name)
            while not await position.take_lease():
                if stop.is_set():
                    return
                await self._wait(self._poll, stop)
            pool = AsyncConnectionPool(self._dsn, kwargs={"autocommit": True}, min_size=1, max_size=1, open=False)
            await stack.enter_async_context(pool)
            try:
                target = await stack.enter_async_context(self._target())
                log.info("relay.running", relay=self._name)
                await self._relay(position, EventPages(pool, self._documents), target, stop)
            except RelayFailed as error:
                await _tell(position, str(error), error.position if isinstance(error, EventRefused) else None)
                raise
            except Exception as error:  # whatever it was, people shall see why it does not go on
                if not (is_passing(error) or isinstance(error, StoreUnavailable)):
                    await _tell(position, reason_of(error))
                raise

    async def _relay(
        self, position: RelayPosition, pages: EventPages, target: RelayTarget, stop: threading.Event
    ) -> None:
        while not stop.is_set():
            began = time.monotonic()
            self._alarm.clear()
            at, paused = await position.read()
            if paused:
                await self._wait(self._poll, stop)
                continue
            try:
                page = await pages.read(at, PAGE, self._wanted, PAGE_BYTES)
            except UnreadableEvent as error:
                await self._step_over(position, at, error, stop)
                continue
            reached = await self._hand_on(position, at, page, target) if page.events else page.reached
            if reached > at:
                await position.move(at, reached, len(page.events) / max(time.monotonic() - began, 1e-6))
            if reached == page.reached and not page.more:
                await self._wait(self._poll, stop)

    async def _hand_on(self, position: RelayPosition, at: int, page: PublishedPage, target: RelayTarget) -> int:
        """How far the page is done with: all of it, or up to an event that the broker refused and people gave up."""
        try:
            await target.publish(page.events)
        except EventRefused as error:
            if await position.skipped(error.position):
                log.warning("relay.skipped", relay=self._name, position=error.position)
                return error.position
            taken = [event.position for event in page.events if event.position < error.position]
            if taken:
                await position.move(at, taken[-1], 0.0)
            raise
        return page.reached

    async def _step_over(self, position: RelayPosition, at: int, error: UnreadableEvent, stop: threading.Event) -> None:
        """Pass over an event that nobody can read, once somebody has said so; all before it was handed on."""
        culprit = error.position
        if culprit is not None and await position.skipped(culprit):
            log.warning("relay.skipped", relay=self._name, position=culprit)
            await position.move(at, culprit, 0.0)
            return
        await position.fail(reason_of(error), culprit)
        log.error("relay.failed", relay=self._name, error=type(error).__name__, position=culprit)
        while not stop.is_set() and await position.failed():
            self._alarm.clear()  # new events change nothing
            await self._wait(self._poll, stop)

    async def _wait(self, seconds: float, stop: threading.Event) -> None:
        """Until something is stored, or the time is over, or about a quarter of a second after ``stop``."""
        ends = time.monotonic() + seconds
        while not (stop.is_set() or self._alarm.is_set()) and (left := ends - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.25)):
                    await self._alarm.wait()


async def _tell(position: RelayPosition, reason: str, culprit: int | None = None) -> None:
    """Write down why it does not go on; the row may not be there yet."""
    with suppress(psycopg.Error):
        await position.read()
        await position.fail(reason, culprit)
