"""What other budgets would have refused."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from send2llm.application.replay.calls import Call, grouping
from send2llm.application.replay.report import Kind, Report, summed
from send2llm.domain.budget_period import Period, Recurrence
from send2llm.domain.budget_scope import BudgetedCall, BudgetScope, scopes_of
from send2llm.domain.pico_dollars import dollars, pico_dollars

Rule = Literal["holds", "costs"]
"""What a call needs to be admitted: what was held for it (its cost where nothing was), or its cost alone."""

PERIODS: dict[str, Kind] = {
    "budget": "text",
    "period": "text",
    "limit_usd": "usd",
    "calls": "count",
    "refused": "count",
    "first_refusal": "time",
    "refused_usd": "usd",
    "spent_usd": "usd",
}
GROUPED: dict[str, Kind] = {"calls": "count", "refused": "count", "refused_usd": "usd", "spent_usd": "usd"}


@dataclass(frozen=True, slots=True)
class Cap:
    """A budget that there was not: the calls of a ``scope`` cost at most ``limit_usd`` in each period."""

    scope: BudgetScope
    limit_usd: Decimal
    recurrence: Recurrence


@dataclass(slots=True)
class _Books:
    """One period of one cap; amounts in pico-dollars."""

    cap: Cap
    period: Period
    limit: int
    settled: int = 0
    held: int = 0
    calls: int = 0
    refused: int = 0
    refused_cost: int = 0
    first_refusal: datetime | None = None

    def line(self) -> dict[str, str | int | Decimal | datetime | None]:
        return {
            "budget": self.cap.scope.key,
            "period": self.period.key,
            "limit_usd": self.cap.limit_usd,
            "calls": self.calls,
            "refused": self.refused,
            "first_refusal": self.first_refusal,
            "refused_usd": dollars(self.refused_cost),
            "spent_usd": dollars(self.settled),
        }


@dataclass(slots=True)
class _Tally:
    calls: int = 0
    refused: int = 0
    refused_cost: int = 0
    spent: int = 0

    def values(self) -> list[int | Decimal]:
        return [self.calls, self.refused, dollars(self.refused_cost), dollars(self.spent)]


class BudgetReplay:
    """Admits calls in the order in which they began, as budgets would have that lend to nobody.

    A call is admitted when each of its budgets has, beside what is settled and what running calls hold, at least what
    the call needs; what it cost is settled when it ended. That needs calls in the order of ``requested_at``.
    """

    def __init__(self, caps: Sequence[Cap], rule: Rule, by: Sequence[str]) -> None:
        self._rule = rule
        self._by = by
        self._key = grouping(by)
        self._caps = caps
        self._matching: dict[BudgetedCall, list[int]] = {}
        self._current: list[_Books | None] = [None] * len(caps)
        self._books: list[_Books] = []
        self._running: list[tuple[datetime, int, list[_Books], int, int]] = []
        self._groups: dict[tuple[str, ...], _Tally] = {}
        self._total = _Tally()
        self._begun = self._held_then = self._unpriced = 0

    def run(self, calls: Iterable[Call]) -> Report:
        """What would have been refused."""
        for call in calls:
            if call.status != "refused":
                self._call(call)
        self._settle(None)
        return self._by_group() if self._by else self._by_period()

    def _call(self, call: Call) -> None:
        if call.cost_usd is None:
            self._unpriced += 1
            return
        self._settle(call.requested_at)
        cost = pico_dollars(call.cost_usd)
        need = cost
        if call.hold_usd is not None:
            self._held_then += 1
            if self._rule == "holds":
                need = max(cost, pico_dollars(call.hold_usd))
        books = self._books_of(call)
        lacking = [one for one in books if one.settled + one.held + need > one.limit]
        for one in books:
            one.calls += 1
        for one in lacking:
            one.refused += 1
            one.refused_cost += cost
            one.first_refusal = one.first_refusal or call.requested_at
        self._begun += 1
        if not lacking and books:
            for one in books:
                one.held += need
            heapq.heappush(self._running, (call.ended_at, self._begun, books, need, cost))
        group = self._groups.setdefault(self._key(call), _Tally())
        for tally in (group, self._total):
            tally.calls += 1
            tally.refused += bool(lacking)
            tally.refused_cost += cost if lacking else 0
            tally.spent += 0 if lacking else cost

    def _settle(self, now: datetime | None) -> None:
        """Calls that have ended by ``now`` hold nothing any more; ``None``: all."""
        while self._running and (now is None or self._running[0][0] <= now):
            _, _, books, need, cost = heapq.heappop(self._running)
            for one in books:
                one.held -= need
                one.settled += cost

    def _books_of(self, call: Call) -> list[_Books]:
        seen = BudgetedCall(call.provider, call.model, call.tenant, call.actor)
        places = self._matching.get(seen)
        if places is None:
            scopes = scopes_of(seen)
            places = self._matching[seen] = [place for place, cap in enumerate(self._caps) if cap.scope in scopes]
        return [self._at(place, call.requested_at) for place in places]

    def _at(self, place: int, moment: datetime) -> _Books:
        books = self._current[place]
        if books is None or moment not in books.period:
            cap = self._caps[place]
            books = _Books(cap, cap.recurrence.containing(moment), pico_dollars(cap.limit_usd))
            self._current[place] = books
            self._books.append(books)
        return books

    def _by_period(self) -> Report:
        lines = [books.line() for books in self._books]
        lines.sort(key=lambda line: (str(line["budget"]), str(line["period"])))
        total = dict(zip(GROUPED, self._total.values(), strict=True))
        return Report(TITLE, PERIODS, lines, total, ("spent_usd", "refused_usd"), self._notes())

    def _by_group(self) -> Report:
        sums = {key: tally.values() for key, tally in self._groups.items()}
        return summed(TITLE, self._by, GROUPED, sums, ("spent_usd", "refused_usd"), self._notes())

    def _uncovering(self) -> list[str]:
        covering = {place for places in self._matching.values() for place in places}
        return [cap.scope.key for place, cap in enumerate(self._caps) if place not in covering]

    def _notes(self) -> list[str]:
        held = (
            f"A call needs what was held for it, which is known of {self._held_then:,} of {self._begun:,} calls. The "
            "others need what they cost; budgets would have refused more of them, and earlier."
        )
        cost = (
            "A call needs what it cost. Budgets hold the most that it can cost: they would have refused more, earlier."
        )
        return [
            held if self._rule == "holds" else cost,
            "What a call cost is settled when it ended. Whoever was refused did not try again, nor another model.",
            "refused_usd is what the refused calls cost; a call that several budgets refuse is in the line of each.",
            f"Calls without a known price, which no budget counts: {self._unpriced:,}.",
            "Calls that were refused when they were made are not looked at.",
            *[f"No call is covered by {name}: is it what calls name?" for name in self._uncovering() if self._begun],
        ]


TITLE = "The same calls under other budgets"
