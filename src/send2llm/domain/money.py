"""Exact money: prices, and what a usage costs.

Amounts are ``Decimal`` US dollars. A cost is a whole number of pico-dollars (10^-12 USD): fine enough that a
single token of the cheapest model on the market is exact, and rounded in one place only, ``round_up``.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal, localcontext

from send2llm.domain.completion import Usage

PICO_DOLLAR = Decimal("1e-12")
ZERO = Decimal(0)
_MILLION = Decimal(1_000_000)
_EXACT = Context(prec=60, rounding=ROUND_CEILING)


def round_up(amount: Decimal) -> Decimal:
    """Round up to whole pico-dollars, so that no recorded cost is below the true one."""
    return amount.quantize(PICO_DOLLAR, context=_EXACT).normalize(_EXACT)


@dataclass(frozen=True, slots=True)
class Tier:
    """From more than ``above`` input tokens on, *all* tokens of the request cost ``usd`` per million."""

    above: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars for a million tokens of one kind; the highest tier reached applies to all of them."""

    usd: Decimal
    tiers: tuple[Tier, ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """US dollars per million tokens in a request with ``input_tokens``."""
        usd = self.usd
        for tier in self.tiers:
            if input_tokens > tier.above:
                usd = tier.usd
        return usd


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, and where that is known from (``version``, such as ``genai-prices 0.2.3``).

    Where the source knows no other rate for cached tokens they cost as much as any input; where it knows none for
    those that are kept for an hour, as much as any that are written to the cache.
    """

    version: str
    input: Rate
    output: Rate
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    per_request: Decimal = ZERO
    cache_write_1h: Rate | None = None

    def cost(self, usage: Usage) -> Decimal:
        """US dollars for ``usage``, in whole pico-dollars."""
        # Beside the caller's own precision, which might cut digits off and round the cost down.
        with localcontext(_EXACT):
            return round_up(self._per_million(usage) / _MILLION + self.per_request)

    def _per_million(self, usage: Usage) -> Decimal:
        seen = usage.input_tokens
        fresh = max(0, seen - usage.cache_read_input_tokens - usage.cache_write_input_tokens)
        for_an_hour = usage.cache_write_1h_input_tokens
        write = self.cache_write or self.input
        return (
            fresh * self.input.at(seen)
            + usage.cache_read_input_tokens * (self.cache_read or self.input).at(seen)
            + (usage.cache_write_input_tokens - for_an_hour) * write.at(seen)
            + for_an_hour * (self.cache_write_1h or write).at(seen)
            + usage.output_tokens * self.output.at(seen)
        )
