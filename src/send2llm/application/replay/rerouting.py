"""What the same calls would have cost at another provider or model: a range, because its tokens are not known."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction

from send2llm.application.replay.calls import Call, grouping
from send2llm.application.replay.report import EXACT, Kind, Report, summed
from send2llm.domain.completion import Usage
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.money import Price

COLUMNS: dict[str, Kind] = {
    "calls": "count",
    "recorded_usd": "usd",
    "low_usd": "usd",
    "high_usd": "usd",
    "kept": "count",
    "unknown_then": "count",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A range of factors, such as 0.9 to 1.2."""

    low: Fraction
    high: Fraction

    @classmethod
    def parse(cls, text: str, name: str) -> "Span":
        """Read ``0.9-1.2``, or one number; raises ``InvalidRequest``."""
        low, dash, high = text.partition("-")
        try:
            span = cls(Fraction(low), Fraction(high if dash else low))
        except (ValueError, ZeroDivisionError):
            span = cls(Fraction(0), Fraction(0))
        if not 0 < span.low <= span.high <= _MOST:
            raise InvalidRequest(
                f"{name}: {text[:40]!r} is no range of factors; write 0.9-1.2, from above 0 to {_MOST}.", param=name
            )
        return span

    def __str__(self) -> str:
        return f"{float(self.low):g}-{float(self.high):g}"

    def least(self, tokens: int) -> int:
        return tokens * self.low.numerator // self.low.denominator

    def most(self, tokens: int) -> int:
        return -(-tokens * self.high.numerator // self.high.denominator)


def reroute(calls: Iterable[Call], target: str, price: Price, tokens: Span, length: Span, by: Sequence[str]) -> Report:
    """Every call at ``target``, whose ``price`` is given.

    Its tokeniser makes ``tokens`` times as many tokens of a text, and its answers are ``length`` times as long.
    """
    key = grouping(by)
    out = Span(tokens.low * length.low, tokens.high * length.high)
    sums: dict[tuple[str, ...], list[int | Decimal]] = {}
    with localcontext(EXACT):
        for call in calls:
            if call.status == "refused":
                continue
            group = key(call)
            line = sums.get(group)
            if line is None:
                line = sums[group] = [0, Decimal(0), Decimal(0), Decimal(0), 0, 0]
            line[0] += 1
            line[1] += call.cost_usd or 0
            line[5] += call.cost_usd is None
            if call.usage is None or call.assumed:
                line[2] += call.cost_usd or 0
                line[3] += call.cost_usd or 0
                line[4] += 1
                continue
            low, high = costs_between(price, call.usage, tokens, out)
            line[2] += low + call.failed_attempts_usd
            line[3] += high + call.failed_attempts_usd
    return summed(
        f"The same calls at {target}",
        by,
        COLUMNS,
        sums,
        ("recorded_usd", "low_usd", "high_usd"),
        (
            f"Tokens: {tokens} times those that were recorded; answers {length} times as long.",
            "Cached tokens may be cached there as well, or not at all: low_usd has the cheaper, high_usd the dearer.",
            "kept: calls without a usage, or whose cost was assumed, count with what was recorded.",
            "unknown_then: calls without a price when they were made count as $0 in recorded_usd.",
            "Nothing is known here about quality: the other model never answered.",
            "Whether it could take each request (tools, images, length) is not looked at.",
        ),
    )


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


_MOST = 100
