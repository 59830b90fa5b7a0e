"""What an audit of money says. Amounts are US dollars."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree, at the event of that ``stream`` and ``position``.

    Where it is about an amount, ``found_usd`` is what the event says, and ``expected_usd`` what other events add up to.
    """

    stream: str
    position: int
    what: str
    expected_usd: Decimal | None = None
    found_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class KnownLater:
    """What a call really cost whose hold had been written off whole; the event tells, and the budget keeps the hold."""

    stream: str
    position: int
    hold_id: str
    budget_id: UUID
    period_key: str
    assumed_usd: Decimal
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Overrun:
    """A provider billed more than the hold; ``hold_id`` where a single one is known."""

    stream: str
    position: int
    hold_id: str | None
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """One open period by both sides.

    ``settled`` and ``lent`` are what its budget says. ``spent`` is what the conversations say that its holds came to,
    ``held`` what they still await, ``later`` how much less than assumed some attempts cost, which was known too late.
    """

    budget_id: UUID
    period_key: str
    holds: int
    settled_usd: Decimal
    lent_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal
    later_usd: Decimal


@dataclass(frozen=True, slots=True)
class ClosedPeriods:
    """All periods whose books are closed, added up."""

    periods: int
    holds: int
    settled_usd: Decimal
    spent_usd: Decimal


@dataclass(frozen=True, slots=True)
class MoneyAudit:
    """The result: ``position`` is how far the log was read. Everything agrees when there are no ``differences``.

    Of differences, overruns and what was ``known_later`` only the first ``LISTED`` are told one by one; the counts and
    sums are of all.
    """

    position: int
    calls: int
    cost_usd: Decimal
    outside_usd: Decimal
    """The part of the cost that no budget covers."""
    periods: tuple[PeriodTotals, ...]
    closed: ClosedPeriods
    differences: tuple[Difference, ...]
    difference_count: int
    known_later: tuple[KnownLater, ...]
    known_later_usd: Decimal
    """How much less than assumed."""
    overruns: tuple[Overrun, ...]
    overrun_usd: Decimal
