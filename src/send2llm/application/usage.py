"""How much was asked of models, by whom, and how they answered, as it was counted. It follows within moments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol, get_args

from send2llm.application.costs import CostFilter

UsageGroup = Literal["provider", "model", "tenant", "actor", "day", "hour"]
USAGE_GROUPS: tuple[UsageGroup, ...] = get_args(UsageGroup)


@dataclass(frozen=True, slots=True)
class Durations:
    """Of so many (``count``) answers, in seconds. Percentiles are estimates, to within a quarter of their value."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What has the same ``group``: its values in the order in which they were asked for.

    ``calls`` count where their first attempt was made, their ends (``answered``, ``failed``, ``interrupted``) where
    their last one was; ``refused`` calls were not made. ``failures`` are attempts by error, ``interruptions`` calls by
    reason, ``refusals`` calls by error. Tokens are those that providers reported; those of ``estimated`` ends are
    estimates. ``cost_usd`` adds up what is known, of which ``assumed_usd`` is what nobody told; ``unpriced`` ends cost
    something that is not known. ``duration`` is that of answers, ``time_to_first_token`` that of streamed ones.
    """

    group: tuple[str | date, ...]
    calls: int
    attempts: int
    answered: int
    failed: int
    interrupted: int
    refused: int
    failures: Mapping[str, int]
    interruptions: Mapping[str, int]
    refusals: Mapping[str, int]
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    cache_write_1h_input_tokens: int
    reasoning_output_tokens: int
    estimated: int
    cost_usd: Decimal
    assumed_usd: Decimal
    unpriced: int
    duration: Durations | None
    time_to_first_token: Durations | None


class UsageQueries(Protocol):
    """The usage as it was counted."""

    async def usage(
        self, by: Sequence[UsageGroup], matching: CostFilter, time_zone: str = "UTC"
    ) -> Sequence[UsageLine]:
        """Sums by groups: times first, in order, then those with the most calls. Hours and days are the time zone's.

        Raises ``InvalidRequest`` for an unknown group or time zone, for a range that is not of whole quarters of an
        hour, and rather than leave lines out; ``StoreUnavailable``.
        """
        ...


def is_a_quarter(moment: datetime) -> bool:
    """Whether a quarter of an hour begins then."""
    return moment.timestamp() % 900 == 0
