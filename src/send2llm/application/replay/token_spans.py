"""Ranges of tokens, and what a usage costs within them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from send2llm.domain.completion import Usage
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.money import Price

_MOST = 100
_NUMBER = r"([0-9]{1,3}(?:\.[0-9]{1,9})?)"
_RANGE = re.compile(f"{_NUMBER}(?:-{_NUMBER})?")
"""No exponents: a fraction of 1e999999999 would be reckoned out for hours."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of factors, such as 0.9 to 1.2."""

    low: Fraction
    high: Fraction

    @classmethod
    def parse(cls, text: str, name: str) -> "Span":
        """Read ``0.9-1.2``, or one number; raises ``InvalidRequest``."""
        found = _RANGE.fullmatch(text)
        span = cls(Fraction(found[1]), Fraction(found[2] or found[1])) if found else cls(Fraction(0), Fraction(0))
        if not 0 < span.low <= span.high <= _MOST:
            raise InvalidRequest(
                f"{name}: {text[:40]!r} is no range of factors; write 0.9-1.2, from above 0 to {_MOST}.", param=name
            )
        return span

    def __str__(self) -> str:
        low, high = (f"{float(factor):g}" for factor in (self.low, self.high))
        return low if self.low == self.high else f"{low}-{high}"

    def least(self, tokens: int) -> int:
        return tokens * self.low.numerator // self.low.denominator

    def most(self, tokens: int) -> int:
        return -(-tokens * self.high.numerator // self.high.denominator)


def costs_between(price: Price, usage: Usage, inputs: Span, outputs: Span) -> tuple[Decimal, Decimal]:
    """The least and the most that a usage can cost when its tokens are multiplied within the spans.

    Cost rises with tokens within a tier. Where a tier begins it may fall, so both sides of each beginning count.
    """
    least_in, most_in = inputs.least(usage.input_tokens), inputs.most(usage.input_tokens)
    turns = [above for above in _tiers(price) if least_in <= above < most_in]
    least_out, most_out = outputs.least(usage.output_tokens), outputs.most(usage.output_tokens)
    cheap = [least_in, *(above + 1 for above in turns)]
    dear = [most_in, *turns]
    low = min(price.cost(one) for tokens in cheap for one in _cached_or_not(usage, tokens, least_out))
    high = max(price.cost(one) for tokens in dear for one in _cached_or_not(usage, tokens, most_out))
    return low, high


def _cached_or_not(usage: Usage, input_tokens: int, output_tokens: int) -> Iterator[Usage]:
    yield Usage(input_tokens, output_tokens)
    if usage.cache_read_input_tokens or usage.cache_write_input_tokens:
        share = Fraction(input_tokens, max(1, usage.input_tokens))
        parts = {
            name: int(getattr(usage, name) * share)
            for name in ("cache_read_input_tokens", "cache_write_input_tokens", "cache_write_1h_input_tokens")
        }
        yield replace(Usage(input_tokens, output_tokens), **parts)


def _tiers(price: Price) -> list[int]:
    rates = (price.input, price.output, price.cache_read, price.cache_write, price.cache_write_1h)
    return sorted({tier.above for rate in rates if rate is not None for tier in rate.tiers})
