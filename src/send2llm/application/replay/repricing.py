"""What the same calls would have cost under other prices."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, localcontext

from send2llm.application.ports import PriceBook
from send2llm.application.replay.calls import Call, grouping
from send2llm.application.replay.recorded_prices import RecordedPrices
from send2llm.application.replay.report import EXACT, Kind, Report, summed
from send2llm.domain.completion import Usage

COLUMNS: dict[str, Kind] = {
    "calls": "count",
    "input_tokens": "count",
    "output_tokens": "count",
    "recorded_usd": "usd",
    "replayed_usd": "usd",
    "difference_usd": "usd",
    "kept": "count",
    "unknown_then": "count",
    "left_out": "count",
}

NOTES = (
    "Tokens are those that were recorded: as providers reported them, else estimated.",
    "kept: calls without a usage, or whose cost was assumed, count with what was recorded, on both sides.",
    "unknown_then: calls without a price when they were made count as $0 in recorded_usd.",
    "left_out: calls without a price in this list are in none of the sums.",
    "What failed attempts were charged is the same on both sides.",
)

CostOf = Callable[[str, str, Usage], Decimal | None]
"""What a usage costs at a provider and model, ``None`` when that is not known."""


def at_prices(prices: PriceBook, asked: set[tuple[str, str]] | None = None) -> CostOf:
    """What the list says; providers and models that it is asked about are added to ``asked``."""
    seen: set[tuple[str, str]] = set() if asked is None else asked

    def cost(provider: str, model: str, usage: Usage) -> Decimal | None:
        seen.add((provider, model))
        price = prices.price(provider, model)
        return None if price is None else price.cost(usage)

    return cost


def at_version(recorded: RecordedPrices, today: PriceBook) -> CostOf:
    """What a version says: where today's price is of that version, that one; else what recorded calls tell of it."""

    def cost(provider: str, model: str, usage: Usage) -> Decimal | None:
        price = today.price(provider, model)
        if price is not None and price.version == recorded.version:
            return price.cost(usage)
        return recorded.cost(provider, model, usage)

    return cost


def notes_on_version(recorded: RecordedPrices) -> Sequence[str]:
    """What has to be said of its prices."""
    found = [
        f"Prices of {recorded.version!r}: today's where they are of this version, else as calls tell that it charged.",
        "left_out: also calls with a kind of token, or a model, whose price no calls of that version tell for certain.",
    ]
    if against := recorded.contradictions():
        found.append(
            "Without one price for each kind of token (it depends on length or time, or is also by the request): "
            f"{', '.join(against)}."
        )
    return found


def reprice(calls: Iterable[Call], cost_of: CostOf, by: Sequence[str], notes: Sequence[str] = ()) -> Report:
    """Every call at what its usage would cost; calls that were refused cost nothing. ``notes`` are on the prices."""
    key = grouping(by)
    sums: dict[tuple[str, ...], list[int | Decimal]] = {}
    with localcontext(EXACT):
        for call in calls:
            if call.status == "refused":
                continue
            group = key(call)
            line = sums.get(group)
            if line is None:
                line = sums[group] = [0, 0, 0, Decimal(0), Decimal(0), Decimal(0), 0, 0, 0]
            _add(line, call, cost_of)
    chart = ("recorded_usd", "replayed_usd")
    return summed("The same calls under other prices", by, COLUMNS, sums, chart, (*NOTES, *notes))


def _add(line: list[int | Decimal], call: Call, cost_of: CostOf) -> None:
    usage, recorded = call.usage, call.cost_usd
    line[0] += 1
    if usage is None or call.assumed:
        replayed = recorded or Decimal(0)
        line[6] += 1
    else:
        cost = cost_of(call.provider, call.model, usage)
        if cost is None:
            line[8] += 1
            return
        replayed = cost + call.failed_attempts_usd
    if recorded is None:
        recorded = Decimal(0)
        line[7] += 1
    if usage is not None:
        line[1] += usage.input_tokens
        line[2] += usage.output_tokens
    line[3] += recorded
    line[4] += replayed
    line[5] += replayed - recorded
