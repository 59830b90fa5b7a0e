"""Moments of the log: whatever was asked for, a position or a time, becomes the events that had happened by then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from send2llm.application.context import RecordedEvent
from send2llm.application.feed import EventFeed
from send2llm.application.ports import Clock
from send2llm.domain.errors import InvalidRequest

OUT_OF_ORDER = timedelta(minutes=1)
"""An event may be stored behind one that happened so much later, by the clocks of several processes and because
appends wait, but not behind later ones."""

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """After the event at ``position`` and all before it, and nothing else, had been stored; 0 is before the first one.

    ``time`` is the time that was asked for, or when the event at the position happened.
    """

    position: int
    time: datetime

    def stored(self, events: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        """Those of the events that had been stored by then."""
        return [event for event in events if event.position <= self.position]

    def require_events(self) -> None:
        """Raise ``InvalidRequest`` when it is before the first event: there is nothing to report then."""
        if not self.position:
            raise InvalidRequest("at: Nothing had happened by then, so there is nothing to report.", param="at")


class Moments:
    """Finds moments. Every method raises ``InvalidRequest`` for one that has not come yet, and ``StoreUnavailable``."""

    def __init__(self, feed: EventFeed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock

    async def position(self, position: int) -> Moment:
        """When the log ended there; positions that are left out (an append was taken back) mean the one before."""
        head = await self._feed.head()
        if position > head:
            raise InvalidRequest(
                f"at: The log ends at position {head} so far; ask for that or an earlier one.", param="at"
            )
        before = 1
        while position:
            for event in reversed(await self._feed.read(max(position - before, 0), before)):
                if event.position <= position:
                    return Moment(event.position, event.metadata.occurred_at)
            if before > position:
                break
            before *= 2
        return Moment(0, datetime.min.replace(tzinfo=UTC))

    async def time(self, moment: datetime) -> Moment:
        """After the last event that happened up to ``moment`` (with a time zone), which brings along all before it."""
        if moment > self._clock.now():  # not even by a little: the answer would be another one later
            raise InvalidRequest("at: That is in the future, of which nothing is known yet.", param="at")
        last = after = await self._before_one_that_is_later(moment)
        while page := await self._feed.read(after, _PAGE):
            last = max((event.position for event in page if event.metadata.occurred_at <= moment), default=last)
            if any(event.metadata.occurred_at > moment + OUT_OF_ORDER for event in page):
                break
            after = page[-1].position
        return Moment(last, moment)

    async def _before_one_that_is_later(self, moment: datetime) -> int:
        """A position, 0 or that of an event that happened up to ``moment``, the next of which happened later."""
        low, high = 0, await self._feed.head()
        while low < high:
            middle = (low + high) // 2
            # Positions may be left out, so it may be one behind the middle that is found.
            (found,) = await self._feed.read(middle, 1)
            if found.metadata.occurred_at <= moment:
                low = found.position
            else:
                high = middle
        return low
