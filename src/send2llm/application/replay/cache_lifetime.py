"""What a cache of answers would have saved."""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from send2llm.application.replay.calls import Call, grouping
from send2llm.application.replay.report import EXACT, Kind, Report, summed
from send2llm.domain.errors import InvalidRequest

COLUMNS: dict[str, Kind] = {
    "calls": "count",
    "hits": "count",
    "cost_usd": "usd",
    "saved_usd": "usd",
    "unknown_then": "count",
}

LONGEST = 100 * 366 * 86400
"""Seconds; what is kept for longer is kept for ever."""

Request = tuple[str, str]
"""Tenant and digest: nobody gets what others were answered."""


class _Cache:
    """Which requests have an answer, and since when; in memory are those that may still be used."""

    def __init__(self, lifetime: timedelta) -> None:
        self._lifetime = lifetime
        self._coming: list[tuple[datetime, Request]] = []
        self._answered: OrderedDict[Request, datetime] = OrderedDict()

    def has(self, request: Request, now: datetime) -> bool:
        """Whether the request is answered from the cache; ``now`` never goes back."""
        while self._coming and self._coming[0][0] <= now:
            at, answered = heapq.heappop(self._coming)
            self._answered[answered] = at
            self._answered.move_to_end(answered)
        while self._answered:
            oldest = next(iter(self._answered))
            if now - self._answered[oldest] <= self._lifetime:
                break
            del self._answered[oldest]
        return request in self._answered

    def answer(self, request: Request, at: datetime) -> None:
        """The request has an answer from then on."""
        heapq.heappush(self._coming, (at, request))


def replay_cache(calls: Iterable[Call], seconds: float, by: Sequence[str]) -> Report:
    """Exact repeats within ``seconds`` after an answer are answered from it, and cost nothing.

    Raises ``InvalidRequest`` for more than a hundred years, or less than nothing.
    """
    if not 0 <= seconds <= LONGEST:
        raise InvalidRequest(f"seconds: {seconds:g} is no lifetime; give 0 to {LONGEST}.", param="seconds")
    key = grouping(by)
    cache = _Cache(timedelta(seconds=seconds))
    sums: dict[tuple[str, ...], list[int | Decimal]] = {}
    with localcontext(EXACT):
        for call in calls:
            if call.status == "refused":
                continue
            group = key(call)
            line = sums.get(group)
            if line is None:
                line = sums[group] = [0, 0, Decimal(0), Decimal(0), 0]
            line[0] += 1
            line[2] += call.cost_usd or 0
            request = (call.tenant, call.digest)
            if call.digest and cache.has(request, call.requested_at):
                line[1] += 1
                line[3] += call.cost_usd or 0
                line[4] += call.cost_usd is None
            elif call.digest and call.status == "received":
                cache.answer(request, call.ended_at)
    return summed(
        f"The same calls with a cache of {seconds:g} seconds",
        by,
        COLUMNS,
        sums,
        ("cost_usd", "saved_usd"),
        (
            "A hit is an exact repeat: the same tenant, model as the caller named it, parameters and transcript.",
            "It begins within the lifetime after that answer was there, and does not lengthen it.",
            "Answers are kept whatever the temperature is; who wants another answer each time loses that.",
            "Repeats while the first call was still running count as calls.",
            "What was asked in conversations that are erased is not known: they have no hits.",
            "unknown_then: hits whose price is not known; they are not in saved_usd.",
        ),
    )
