"""What the same calls would have cost under other prices."""

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext

from send2llm.application.ports import PriceBook
from send2llm.application.replay.calls import Call, grouping
from send2llm.application.replay.report import EXACT, Kind, Report, summed

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


def reprice(calls: Iterable[Call], prices: PriceBook, by: Sequence[str]) -> Report:
    """Every call at the price that ``prices`` has for its provider and model; calls that were refused cost nothing."""
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
            _add(line, call, prices)
    return summed("The same calls under other prices", by, COLUMNS, sums, ("recorded_usd", "replayed_usd"), NOTES)


def _add(line: list[int | Decimal], call: Call, prices: PriceBook) -> None:
    usage, recorded = call.usage, call.cost_usd
    line[0] += 1
    if usage is None or call.assumed:
        replayed = recorded or Decimal(0)
        line[6] += 1
    else:
        price = prices.price(call.provider, call.model)
        if price is None:
            line[8] += 1
            return
        replayed = price.cost(usage) + call.failed_attempts_usd
    if recorded is None:
        recorded = Decimal(0)
        line[7] += 1
    if usage is not None:
        line[1] += usage.input_tokens
        line[2] += usage.output_tokens
    line[3] += recorded
    line[4] += replayed
    line[5] += replayed - recorded
