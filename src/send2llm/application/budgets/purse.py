"""What one process has borrowed, in its memory. Nothing here waits: what fits is held at once, or not at all.

Amounts are whole pico-dollars.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import inf
from uuid import UUID

from send2llm.application.ports import AllowanceHold
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.budget_period import Period
from send2llm.domain.pico_dollars import dollars
from send2llm.domain.routing import PaidBy
from send2llm.domain.shortfall import Shortfall


@dataclass(slots=True, eq=False)
class Slice:
    """An allowance in the memory of its holder.

    ``used_at`` is monotonic. One that is ``retired`` takes no more holds: it waits for its calls to end, or for its
    settlement to be stored. One that is ``lost`` was settled without its holder, or was taken away. ``overruns`` are
    those that the budget does not know of yet.
    """

    allowance_id: UUID
    amount: int
    expires_at: datetime
    used_at: float
    spent: int = 0
    held: int = 0
    holds: dict[str, int] = field(default_factory=dict)
    overruns: dict[str, int] = field(default_factory=dict)
    retired: bool = False
    lost: bool = False

    @property
    def free(self) -> int:
        """What can be held from it now."""
        return 0 if self.retired else self.rest

    @property
    def rest(self) -> int:
        """What no call holds or has spent, also of a retired one."""
        return self.amount - self.spent - self.held

    @property
    def idle(self) -> bool:
        """Whether no call holds anything of it."""
        return not self.holds

    def take(self, hold_id: str, amount: int) -> None:
        """Hold an amount that is free."""
        self.holds[hold_id] = amount
        self.held += amount

    def shrink(self, hold_id: str, amount: int) -> None:
        """Hold less, before the hold is stored."""
        self.held -= self.holds[hold_id] - amount
        self.holds[hold_id] = amount

    def pass_on(self, hold_id: str, other_id: str) -> None:
        """Hold the same for another attempt, because this one costs nothing."""
        if hold_id in self.holds:
            self.holds[other_id] = self.holds.pop(hold_id)

    def end(self, hold_id: str, cost: int) -> None:
        """The attempt is over and cost so much."""
        hold = self.holds.pop(hold_id, None)
        if hold is None:
            return
        self.held -= hold
        self.spent += cost
        if cost > hold:
            self.overruns[hold_id] = cost - hold
            self.amount += cost - hold


@dataclass(frozen=True, slots=True)
class Refusal:
    """The budget's last no: whoever needs more than was ``left`` gets the same answer until ``until`` (monotonic)."""

    left: int
    until: float
    lacking: Shortfall


class Purse:
    """The slices that a process has of one period of one budget."""

    def __init__(self, budget_id: UUID, period: Period, now: Callable[[], float]) -> None:
        self.budget_id = budget_id
        self.period = period
        self.slices: list[Slice] = []
        self.left = 0
        """What could be lent when the budget was last looked at."""
        self.lock = asyncio.Lock()
        """Held by whoever talks to the budget on behalf of this purse."""
        self.refusal: Refusal | None = None
        self.slice_size = 0
        self.filled_at = -inf
        self._now = now

    def take(self, hold_id: str, amount: int) -> Slice | None:
        """Hold ``amount``, if one of the slices has it."""
        for found in self.slices:
            if found.free >= amount:
                found.take(hold_id, amount)
                found.used_at = self._now()
                return found
        return None

    @property
    def free(self) -> int:
        """All that can be held, in however many holds."""
        return sum(one.free for one in self.slices)

    def lose(self, gone: Slice) -> None:
        """Take note that a slice was settled, here or elsewhere; it is kept for as long as calls or overruns are."""
        gone.retired = gone.lost = True
        if gone.idle and not gone.overruns and gone in self.slices:
            self.slices.remove(gone)

    def find(self, allowance_id: UUID) -> Slice | None:
        """The slice of that allowance."""
        return next((one for one in self.slices if one.allowance_id == allowance_id), None)


@dataclass(slots=True)
class HeldFrom:
    """Where one budget's part of a hold is."""

    purse: Purse
    slice: Slice


@dataclass(slots=True)
class CallHold:
    """What one attempt holds, of every budget that covers it: the same amount of each.

    ``output_limit`` is what the provider must be told, so that the hold covers the answer.
    """

    completion_id: UUID
    attempt: int
    amount: int
    output_limit: int
    parts: list[HeldFrom]

    @property
    def hold_id(self) -> str:
        """Its name in all of them."""
        return f"{self.completion_id}/{self.attempt}"

    @property
    def amount_usd(self) -> Decimal:
        """US dollars."""
        return dollars(self.amount)

    @property
    def left_usd(self) -> Decimal:
        """The least that any of the budgets has left, as far as this process knows; US dollars."""
        return dollars(min(max(0, part.purse.left) + part.purse.free for part in self.parts))

    @property
    def paid_by(self) -> tuple[PaidBy, ...]:
        """The budgets and their periods."""
        return tuple([PaidBy(part.purse.budget_id, part.purse.period.key) for part in self.parts])

    def events(self, conversation_id: UUID) -> list[AllowanceHold]:
        """What is to be stored, in each allowance, together with the intent."""
        return [
            AllowanceHold(
                part.slice.allowance_id,
                HoldTaken(
                    budget_id=part.purse.budget_id,
                    period_key=part.purse.period.key,
                    conversation_id=conversation_id,
                    completion_id=self.completion_id,
                    attempt=self.attempt,
                    amount_usd=self.amount_usd,
                ),
            )
            for part in self.parts
        ]

    def end(self, cost: int) -> None:
        """The attempt is over, its outcome is stored, and it cost so much. Ending again changes nothing."""
        for part in self.parts:
            part.slice.end(self.hold_id, cost)

    def following(self) -> "CallHold":
        """The same money for another attempt, because this one costs nothing; held for it once ``passed_on``."""
        return CallHold(self.completion_id, self.attempt + 1, self.amount, self.output_limit, self.parts)

    def passed_on(self, following: "CallHold") -> None:
        """That it serves another attempt now is stored."""
        for part in self.parts:
            part.slice.pass_on(self.hold_id, following.hold_id)
