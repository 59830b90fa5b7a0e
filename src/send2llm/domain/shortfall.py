"""What a budget lacked when it refused a call: the numbers, so that a refusal can be checked against the events."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """US dollars.

    ``needed`` is the most that the call can cost with the shortest answer that is worth asking for, and ``left`` what
    is neither ``settled`` nor ``lent``, 0 when more than all is. What is ``lent`` to running calls may come home; when
    not, waiting helps only from ``period_end`` on, and never without one.
    """

    budget_id: UUID
    scope: str
    period_key: str
    period_end: datetime | None
    needed_usd: Decimal
    limit_usd: Decimal
    carried_over_usd: Decimal
    settled_usd: Decimal
    lent_usd: Decimal
    left_usd: Decimal

    def __str__(self) -> str:
        available = f"{self.limit_usd:f} USD"
        if self.carried_over_usd:
            available += f" and {self.carried_over_usd:f} USD carried over"
        return (
            f"The call needs at least {self.needed_usd:f} USD, but the budget {self.budget_id} ({self.scope}, "
            f"{self.period_key}) has {self.left_usd:f} USD left of {available}: {self.settled_usd:f} USD are settled "
            f"and {self.lent_usd:f} USD lent to running calls."
        )
