"""Reads the log for an audit, page after page."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from send2llm.application.context import RecordedEvent
from send2llm.application.feed import EventFeed
from send2llm.application.moments import Moment
from send2llm.application.money_audit.ledger import MoneyLedger, StreamNames
from send2llm.application.money_audit.prices import PriceVersions
from send2llm.application.money_audit.result import MoneyAudit

PAGE = 1_000


class Progress(Protocol):
    """Whoever wants to know how far an audit is."""

    def __call__(self, position: int, head: int, /) -> None:
        """So many of so many positions are read."""


class AuditMoney:
    """Compares both sides of the books."""

    def __init__(self, feed: EventFeed, streams: StreamNames, prices: PriceVersions) -> None:
        self._feed = feed
        self._streams = streams
        self._prices = prices

    async def __call__(self, progress: Progress | None = None, moment: Moment | None = None) -> MoneyAudit:
        """Compare them up to the end of the log, as it is now or was at a moment.

        Raises ``InvalidRequest`` for a moment before the first event, and ``StoreUnavailable``.
        """
        if moment is not None:
            moment.require_events()
        ledger = MoneyLedger(self._streams, self._prices)
        head = await self._feed.head() if moment is None else moment.position
        async for page in self._pages(head):
            for recorded in page:
                ledger.fold(recorded)
            if progress is not None:
                progress(page[-1].position, head)
        return ledger.result()

    async def _pages(self, head: int) -> AsyncIterator[Sequence[RecordedEvent]]:
        after = 0
        while after < head:
            page = [event for event in await self._feed.read(after, PAGE) if event.position <= head]
            if not page:
                return
            yield page
            after = page[-1].position
