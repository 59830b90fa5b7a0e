"""What calls cost, added up from the cost ledger. It follows the events within moments, not at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol, get_args

Group = Literal["provider", "model", "tenant", "actor", "day", "hour"]
GROUPS: tuple[Group, ...] = get_args(Group)

LARGEST_REPORT = 10_000
"""Lines; who wants more asks for less at once."""


@dataclass(frozen=True, slots=True)
class CostFilter:
    """Which attempts count: those that were begun from ``begin`` up to, not including, ``end``, and so on."""

    begin: datetime | None = None
    end: datetime | None = None
    provider: str | None = None
    model: str | None = None
    tenant: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class CostLine:
    """The attempts that have the same ``group``: its values in the order in which they were asked for.

    Tokens are those that providers reported, or estimates. ``cost_usd`` adds up what is known, of which
    ``assumed_usd`` is what nobody told; ``unpriced`` attempts cost something that is not known.
    """

    group: tuple[str | date, ...]
    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    reasoning_output_tokens: int
    cost_usd: Decimal
    assumed_usd: Decimal
    unpriced: int


class CostQueries(Protocol):
    """Costs from the ledger."""

    async def costs(self, by: Sequence[Group], matching: CostFilter, time_zone: str = "UTC") -> Sequence[CostLine]:
        """Sums by groups, times first, in order, then the dearest; a ``day`` or ``hour`` is one of the time zone.

        Raises ``InvalidRequest`` for an unknown group or time zone, and rather than leave lines out;
        ``StoreUnavailable``.
        """
        ...
