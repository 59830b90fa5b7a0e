"""What the same calls would have cost at another provider or model: a range, because its tokens are not known."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from send2llm.application.replay.calls import Call, grouping
from send2llm.application.replay.report import EXACT, Kind, Report, summed
from send2llm.domain.completion import Usage
from send2llm.domain.errors import InvalidRequest
from send2llm.domain.money import Price

Strategy = Literal["first", "cheapest"]

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
        found = _RANGE.fullmatch(text)
        span = cls(Fraction(found[1]), Fraction(found[2] or found[1])) if found else cls(Fraction(0), Fraction(0))
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


@dataclass(frozen=True, slots=True)
class Target:
    """Who would have answered: ``provider/model``, its price, and how many tokens it has room for, if that is known."""

    name: str
    price: Price
    context_window: int | None = None


@dataclass(frozen=True)  # without slots: `out` is kept, which would cost more than all else if each call made it
class Route:
    """Targets of which each call goes to one: the ``first`` that has room for it, or the ``cheapest`` of these.

    A tokeniser makes ``tokens`` times as many tokens of a text, and answers are ``length`` times as long. The cheapest
    is the one with the least upper estimate, the first of several.
    """

    targets: Sequence[Target]
    strategy: Strategy
    tokens: Span
    length: Span

    @cached_property
    def out(self) -> Span:
        """By what the tokens of an answer are multiplied."""
        return Span(self.tokens.low * self.length.low, self.tokens.high * self.length.high)

    def choose(self, usage: Usage) -> tuple[str, Decimal, Decimal] | None:
        """Whose the call is, and the least and the most that it costs there; ``None`` when nobody has room for it."""
        out, chosen = self.out, None
        for target in self.targets:
            if len(self.targets) > 1 and not self._has_room(target, usage):
                continue
            low, high = costs_between(target.price, usage, self.tokens, out)
            if chosen is None or high < chosen[2]:
                chosen = target.name, low, high
            if self.strategy == "first":
                break
        return chosen

    def _has_room(self, target: Target, usage: Usage) -> bool:
        needed = self.tokens.most(usage.input_tokens) + self.out.most(usage.output_tokens)
        return target.context_window is None or needed <= target.context_window


def reroute(calls: Iterable[Call], route: Route, by: Sequence[str], notes: Sequence[str] = ()) -> Report:
    """Every call by another route; of several targets, also which of them took it. ``notes`` are on the targets."""
    key = grouping(by)
    several = len(route.targets) > 1
    sums: dict[tuple[str, ...], list[int | Decimal]] = {}
    with localcontext(EXACT):
        for call in calls:
            if call.status == "refused":
                continue
            known = call.usage is not None and not call.assumed
            chosen = route.choose(call.usage) if known and call.usage is not None else None
            recorded = call.cost_usd or Decimal(0)
            name, low, high = chosen or (KEPT, recorded, recorded)
            again = call.failed_attempts_usd if chosen else 0
            group = (*key(call), name) if several else tuple(key(call))
            line = sums.setdefault(group, [0, Decimal(0), Decimal(0), Decimal(0), 0, 0])
            line[0] += 1
            line[1] += recorded
            line[2] += low + again
            line[3] += high + again
            line[4] += chosen is None
            line[5] += call.cost_usd is None
    names = (*by, "to") if several else by
    chart = ("recorded_usd", "low_usd", "high_usd")
    return summed(_title(route), names, COLUMNS, sums, chart, (*_notes(route), *notes))


def _title(route: Route) -> str:
    names = ", ".join(target.name for target in route.targets)
    return f"The same calls at {names if len(route.targets) == 1 else f'the {route.strategy} of {names}'}"


def _notes(route: Route) -> Iterator[str]:
    yield f"Tokens: {route.tokens} times those that were recorded; answers {route.length} times as long."
    yield "Cached tokens may be cached there as well, or not at all: low_usd has the cheaper, high_usd the dearer."
    yield "kept: calls without a usage, or whose cost was assumed, count with what was recorded."
    yield "unknown_then: calls without a price when they were made count as $0 in recorded_usd."
    if len(route.targets) > 1:
        yield _CHOICE[route.strategy]
        yield (
            f"to: who took them; {KEPT}: nobody, so they are kept. Passed over is whose context window might be too "
            "small, as far as it is known."
        )
        yield "None of them fails here: which would have, nobody knows."
    yield "Nothing is known here about quality: the other model never answered."
    unseen = "tools, images, length" if len(route.targets) == 1 else "tools, images"
    yield f"Whether it could take each request ({unseen}) is not looked at."


_CHOICE: Mapping[Strategy, str] = MappingProxyType(
    {
        "first": "Each call goes to the first that has room for it, in the order given.",
        "cheapest": (
            "Each call goes where the most that it can cost is least, which is known afterwards: a router that has to "
            "guess how long an answer will be does no better."
        ),
    }
)

KEPT = "as recorded"
"""In place of a target, for calls that nobody takes."""


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
_NUMBER = r"([0-9]{1,3}(?:\.[0-9]{1,9})?)"
_RANGE = re.compile(f"{_NUMBER}(?:-{_NUMBER})?")
"""No exponents: a fraction of 1e999999999 would be reckoned out for hours."""
