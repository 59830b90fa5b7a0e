"""What the same calls would have cost at another provider or model: a range, because its tokens are not known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from send2llm.application.replay.calls import Call, grouping
from send2llm.application.replay.report import EXACT, Kind, Report, summed
from send2llm.application.replay.token_spans import Span, costs_between
from send2llm.domain.completion import Usage
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
