"""What is kept of whatever is open; amounts are whole pico-dollars."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from send2llm.application.money_audit.findings import PeriodId, Spot


@dataclass(slots=True)
class PeriodAccount:
    """The books of an open period, by the audit's own sums; ``told_settled`` adds up what its events say."""

    id: PeriodId
    start: datetime | None
    end: datetime | None
    limit: int
    carried_over: int
    carry_over: bool
    carry_received: bool
    settled: int = 0
    told_settled: int = 0
    lent: int = 0
    assumed: int = 0
    overrun: int = 0
    later: int = 0
    holds: int = 0
    spent: int = 0
    """What ended allowances came to by the conversations."""
    outstanding: int = 0
    """How many allowances are lent."""
    late_overruns: dict[str, int] = field(default_factory=dict)
    """By hold: what a late answer cost beyond the hold that was written off, until the budget has recorded it."""

    @property
    def available(self) -> int:
        """All that may be spent."""
        return self.limit + self.carried_over


@dataclass(slots=True, eq=False)
class AttemptAccount:
    """An attempt of a call, from its intent on.

    ``promised`` is what the intent says that each budget in ``paid_by`` sets aside; ``held`` are those that did, and
    ``parts`` what they hold. ``known``: its process told how it ended. ``cost`` is ``None`` where no price is known.
    """

    hold_id: str
    begun: Spot
    begun_at: datetime
    provider: str
    model: str
    promised: int | None
    paid_by: frozenset[PeriodId]
    held: set[PeriodId] = field(default_factory=set)
    parts: list["Hold"] = field(default_factory=list)
    ended: int | None = None
    """The position of its outcome."""
    cost: int | None = None
    known: bool = False
    final: bool = False
    """Whether that is known, and its call has ended as well, so that nothing changes it any more."""

    @property
    def outcome_known(self) -> bool:
        """Whether a budget can settle it at its cost."""
        return self.ended is not None and self.known and self.cost is not None


@dataclass(slots=True, eq=False)
class AllowanceAccount:
    """An allowance that is lent. Of ``lent``, ``overruns`` were added because bills went beyond holds.

    ``used`` is what its holds take of it: whole while their attempts run, then their costs, but no more than was held.
    """

    id: UUID
    period: PeriodAccount
    lent: int
    overruns: int = 0
    used: int = 0
    holds: dict[str, "Hold"] = field(default_factory=dict)
    closed: int | None = None
    """The position from which on nothing is held from it."""


@dataclass(slots=True, eq=False)
class Hold:
    """What one attempt holds from one allowance. ``assumed``: the budget has written it off whole."""

    attempt: AttemptAccount
    allowance: AllowanceAccount
    amount: int
    assumed: bool = False
    overrun: int = 0
    """What the budget has recorded beyond it."""
    told: bool = False
    """Whether what it cost is known, and told, although it was written off."""

    @property
    def cost(self) -> int:
        """What its attempt cost, 0 where nobody knows."""
        return self.attempt.cost or 0

    @property
    def takes(self) -> int:
        """What it takes of its allowance, overruns apart."""
        return self.amount if self.attempt.ended is None else min(self.amount, self.cost)
