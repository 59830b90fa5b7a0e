"""The events of an allowance: what was held from it, and that no more can be. Amounts are US dollars."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from uuid import UUID

ClosingReason = Literal["settled", "lapsed"]
"""``settled``: by its holder, which has no use for it any more. ``lapsed``: by another, to take it away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldTaken:
    """The most that one attempt of a call can cost is set aside, before a byte goes to the provider.

    ``budget_id`` and ``period_key`` say whose money it is: those of the period that lent the allowance.
    """

    budget_id: UUID
    period_key: str
    conversation_id: UUID
    completion_id: UUID
    attempt: int
    amount_usd: Decimal

    @property
    def hold_id(self) -> str:
        """The hold's name: there is one for each attempt, the same in every budget that it is taken from."""
        return f"{self.completion_id}/{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceClosed:
    """Nothing is held from the allowance after this."""

    reason: ClosingReason


AllowanceEvent = HoldTaken | AllowanceClosed
