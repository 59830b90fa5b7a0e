"""The allowance: the fence between its holder and whoever takes it away.

A budget lends money to a process for some time. When the process seems to be gone, another one settles the
allowance: calls that ended at what they cost, the others at their holds. That is sound only if nothing can be
held *after* the others have been counted, and a process that seems to be gone may just have been paused, for
longer than any expiry, between looking at its clock and acting on it. No clock and no lease can exclude that.

A stream can. Each hold is an event in the stream of its allowance, stored in one transaction with the intent of
its call. The store puts it behind whatever the stream holds, unless that ends with ``AllowanceClosed``: then it
refuses the hold, and with it the intent. Who takes the allowance away first has ``AllowanceClosed`` put there, in
the same way:

- if the holder was quicker, its hold stands before the close, and is counted;
- if the close was, the paused holder's next hold is refused: nothing of that call was sent to a provider, and
  nothing of a later one will be.

Only then are the holds counted, and by then they are all there are. ``close`` may be called again by whoever
finds the allowance closed but not yet settled, so a taker that dies half-way leaves nothing behind that the next
one could not finish.

All this rests on one order of all appends: the store decides one after the other, under the lock of its table.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Self
from uuid import UUID

from send2llm.domain.aggregate import Aggregate
from send2llm.domain.allowance_events import AllowanceClosed, AllowanceEvent, ClosingReason, HoldTaken
from send2llm.domain.errors import AllowanceIsClosed, HoldAlreadyTaken
from send2llm.domain.pico_dollars import dollars, pico_dollars


class Allowance(Aggregate[AllowanceEvent]):
    """What was held from one allowance, folded from its events; without any, nothing was held yet.

    How much is left of it is not known here. Money of calls that ended is free again, but ends are recorded in
    conversations; the holder keeps that balance in memory, and the budget learns it when all is settled.
    """

    def __init__(self, allowance_id: UUID) -> None:
        super().__init__()
        self.id = allowance_id
        self.holds: dict[str, HoldTaken] = {}
        """All holds ever taken, by their ids."""
        self.closed: ClosingReason | None = None
        self._total = 0

    @classmethod
    def fold(cls, allowance_id: UUID, events: Iterable[AllowanceEvent]) -> Self:
        """The state after ``events``."""
        allowance = cls(allowance_id)
        allowance.follow(events)
        return allowance

    def take_hold(self, hold: HoldTaken) -> None:
        """Set money aside for an attempt; raises ``AllowanceIsClosed``, ``HoldAlreadyTaken``."""
        if self.closed is not None:
            raise AllowanceIsClosed(self.id)
        if hold.hold_id in self.holds:
            raise HoldAlreadyTaken(hold.hold_id)
        pico_dollars(hold.amount_usd)  # refuses what is no amount
        self._record(hold)

    def close(self, reason: ClosingReason) -> None:
        """Let nothing be held any more; closing again changes nothing.

        But a holder that comes to settle what was taken from it is too late: ``AllowanceIsClosed``.
        """
        if self.closed is None:
            self._record(AllowanceClosed(reason=reason))
        elif reason == "settled" and self.closed == "lapsed":
            raise AllowanceIsClosed(self.id)

    @property
    def total_held(self) -> Decimal:
        """US dollars of all holds; more than the allowance itself when calls ended and their money was held again."""
        return dollars(self._total)

    def _apply(self, event: AllowanceEvent) -> None:
        match event:
            case HoldTaken():
                self.holds[event.hold_id] = event
                self._total += pico_dollars(event.amount_usd)
            case AllowanceClosed(reason=reason):
                self.closed = reason
