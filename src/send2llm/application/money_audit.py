"""The double entry: what conversations say was spent, and what budgets say was settled, agree to the last unit.

Both sides are folded from the events alone, in the order of the log; no projection is asked, and no total believed.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.application.feed import EventFeed
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.attempt_costs import AttemptCost, attempt_costs
from send2llm.domain.budget_books import Books
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
)
from send2llm.domain.pico_dollars import dollars, pico_dollars
from send2llm.domain.provider_budget_events import (
    AllowanceGranted,
    AllowanceLapsed,
    AllowanceRenewed,
    AllowanceSettled,
    PeriodClosed,
    ProviderBudgetEvent,
)

PAGE = 1_000

_Ending = AttemptFailed | CompletionReceived | CompletionInterrupted | CompletionFailed


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree, with both amounts in US dollars. ``place`` names a stream or a hold."""

    place: str
    what: str
    conversations_usd: Decimal
    budgets_usd: Decimal


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """One period by both sides, in US dollars.

    ``settled`` and ``lent`` are the budget's words. ``spent`` is what the conversations say that its holds came to,
    ``held`` what they still await, ``later`` how much less than assumed some attempts cost, which was known too late.
    """

    budget_id: UUID
    period_key: str
    holds: int
    settled_usd: Decimal
    lent_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal
    later_usd: Decimal


@dataclass(frozen=True, slots=True)
class MoneyAudit:
    """The result: ``position`` is how far the log was read. Everything agrees when there are no ``differences``."""

    position: int
    calls: int
    cost_usd: Decimal
    outside_usd: Decimal
    """The part of the cost that no budget covers."""
    periods: tuple[PeriodTotals, ...]
    differences: tuple[Difference, ...]


class Progress(Protocol):
    """Whoever wants to know how far an audit is."""

    def __call__(self, position: int, head: int) -> None:
        """So many of so many positions are read."""


@dataclass(slots=True)
class _Allowance:
    """An allowance as its budget's events tell it; whole pico-dollars."""

    period: tuple[UUID, str]
    lent: int
    spent: int = 0
    assumed: int = 0
    assumed_holds: frozenset[str] = frozenset()
    ended: bool = False
    lapsed: bool = False
    holds: list[HoldTaken] = field(default_factory=list)


class MoneyLedger:
    """Folds events; ``result`` compares. Keeps what has to do with holds, and sums of the rest."""

    def __init__(self) -> None:
        self._position = 0
        self._books: defaultdict[tuple[UUID, str], Books] = defaultdict(Books)
        self._allowances: dict[UUID, _Allowance] = {}
        self._unlent: list[tuple[UUID, HoldTaken]] = []
        self._endings: defaultdict[UUID, list[_Ending]] = defaultdict(list)
        self._calls = 0
        self._differences: list[Difference] = []

    def fold(self, recorded: RecordedEvent, streams: "StreamNames") -> None:
        """Take in the next event of the log."""
        self._position = recorded.position
        match recorded.event:
            case CompletionRequested():
                self._calls += 1
            case (
                AttemptFailed(completion_id=completion_id)
                | CompletionReceived(completion_id=completion_id)
                | CompletionInterrupted(completion_id=completion_id)
                | CompletionFailed(completion_id=completion_id)
            ) as ending:
                self._endings[completion_id].append(_without_words(ending))
            case HoldTaken() as hold:
                self._hold(streams.allowance_of(recorded.stream), hold)
            case event if isinstance(event, ProviderBudgetEvent):
                self._period(streams.period_of(recorded.stream), event)

    def _hold(self, allowance_id: UUID, hold: HoldTaken) -> None:
        allowance = self._allowances.get(allowance_id)
        if allowance is None:
            self._unlent.append((allowance_id, hold))
        else:
            allowance.holds.append(hold)

    def _period(self, period: tuple[UUID, str], event: ProviderBudgetEvent) -> None:
        books = self._books[period]
        if isinstance(event, PeriodClosed):
            self._check_totals(period, books, event)
        books.enter(event)
        match event:
            case AllowanceGranted():
                self._allowances[event.allowance_id] = _Allowance(period, pico_dollars(event.amount_usd))
            case AllowanceRenewed():
                self._allowances[event.allowance_id].lent = pico_dollars(event.amount_usd)
            case AllowanceSettled():
                allowance = self._allowances[event.allowance_id]
                allowance.spent, allowance.ended = pico_dollars(event.spent_usd), True
            case AllowanceLapsed():
                allowance = self._allowances[event.allowance_id]
                allowance.spent, allowance.assumed = pico_dollars(event.spent_usd), pico_dollars(event.assumed_usd)
                allowance.assumed_holds = frozenset(event.assumed_holds)
                allowance.ended = allowance.lapsed = True
            case _:
                pass
        if books.settled + books.lent > books.available and isinstance(event, AllowanceGranted):
            self._differ(_name(period), "more is lent than there is", books.settled + books.lent, books.available)

    def _check_totals(self, period: tuple[UUID, str], books: Books, event: PeriodClosed) -> None:
        for what, counted, told in (
            ("settled in the end", books.settled, event.settled_usd),
            ("assumed in the end", books.assumed, event.assumed_usd),
            ("overrun in the end", books.overrun, event.overrun_usd),
        ):
            if counted != pico_dollars(told):
                self._differ(_name(period), what, counted, pico_dollars(told))

    def result(self) -> MoneyAudit:
        """Compare both sides."""
        costs: dict[str, AttemptCost] = {}
        for endings in self._endings.values():
            costs |= attempt_costs(endings)
        differences = list(self._differences)
        for allowance_id, hold in self._unlent:
            differences.append(
                Difference(hold.hold_id, f"held from {allowance_id}, which nobody lent", hold.amount_usd, dollars(0))
            )
        totals = {period: _Totals() for period in self._books}
        covered: set[str] = set()
        for allowance_id, allowance in self._allowances.items():
            covered |= {hold.hold_id for hold in allowance.holds}
            differences += totals[allowance.period].add(allowance_id, allowance, costs)
        periods = []
        for period, total in totals.items():
            books = self._books[period]
            differences += total.compare(period, books)
            periods.append(total.shown(period, books))
        everything = sum(pico_dollars(cost.cost_usd) for cost in costs.values() if cost.cost_usd is not None)
        outside = sum(
            pico_dollars(cost.cost_usd)
            for hold_id, cost in costs.items()
            if cost.cost_usd is not None and hold_id not in covered
        )
        return MoneyAudit(
            self._position, self._calls, dollars(everything), dollars(outside), tuple(periods), tuple(differences)
        )

    def _differ(self, place: str, what: str, conversations: int, budgets: int) -> None:
        self._differences.append(Difference(place, what, dollars(conversations), dollars(budgets)))


@dataclass(slots=True)
class _Totals:
    """A period by the conversations' side; whole pico-dollars."""

    holds: int = 0
    spent: int = 0
    held: int = 0
    later: int = 0
    ended_spent: int = 0
    late_overruns: int = 0

    def add(self, allowance_id: UUID, allowance: _Allowance, costs: Mapping[str, AttemptCost]) -> list[Difference]:
        """Count an allowance's holds, and compare them with what its budget was told."""
        spent = assumed = 0
        for hold in allowance.holds:
            self.holds += 1
            amount, cost = pico_dollars(hold.amount_usd), costs.get(hold.hold_id)
            known = None if cost is None or cost.cost_usd is None else pico_dollars(cost.cost_usd)
            if hold.hold_id in allowance.assumed_holds:
                assumed += amount
                if known is not None and cost is not None and cost.known:
                    self.later += max(0, amount - known)
                    self.late_overruns += max(0, known - amount)
            elif known is not None:
                spent += known
            elif not allowance.ended:
                self.held += amount
        self.spent += spent + assumed
        if not allowance.ended:
            return []
        self.ended_spent += spent + assumed
        return [
            Difference(f"allowance {allowance_id}", what, dollars(ours), dollars(theirs))
            for what, ours, theirs in (
                ("spent", spent, allowance.spent),
                ("assumed", assumed, allowance.assumed),
            )
            if ours != theirs
        ]

    def compare(self, period: tuple[UUID, str], books: Books) -> list[Difference]:
        """What ended allowances came to is what the period has settled."""
        ours = self.ended_spent + self.late_overruns
        if ours == books.settled:
            return []
        return [Difference(_name(period), "settled", dollars(ours), dollars(books.settled))]

    def shown(self, period: tuple[UUID, str], books: Books) -> PeriodTotals:
        """For people."""
        return PeriodTotals(
            budget_id=period[0],
            period_key=period[1],
            holds=self.holds,
            settled_usd=dollars(books.settled),
            lent_usd=dollars(books.lent),
            spent_usd=dollars(self.spent),
            held_usd=dollars(self.held),
            later_usd=dollars(self.later),
        )


class StreamNames(Protocol):
    """What streams are called."""

    def allowance_of(self, stream: str) -> UUID:
        """The allowance whose stream it is."""
        ...

    def period_of(self, stream: str) -> tuple[UUID, str]:
        """The budget and the key of the period whose stream it is."""
        ...


class AuditMoney:
    """Reads the whole log, page after page."""

    def __init__(self, feed: EventFeed, streams: StreamNames) -> None:
        self._feed = feed
        self._streams = streams

    async def __call__(self, progress: Progress | None = None) -> MoneyAudit:
        """Compare both sides up to the end of the log as it is now; raises ``StoreUnavailable``."""
        ledger, head = MoneyLedger(), await self._feed.head()
        async for page in self._pages(head):
            for recorded in page:
                ledger.fold(recorded, self._streams)
                position = recorded.position
            if progress is not None:
                progress(position, head)
        return ledger.result()

    async def _pages(self, head: int) -> AsyncIterator[list[RecordedEvent]]:
        after = 0
        while after < head:
            page = [event for event in await self._feed.read(after, PAGE) if event.position <= head]
            if not page:
                return
            yield page
            after = page[-1].position


def _name(period: tuple[UUID, str]) -> str:
    return f"budget {period[0]}, {period[1]}"


def _without_words(ending: _Ending) -> _Ending:
    """An ending without what was said: an audit holds them all in memory."""
    match ending:
        case CompletionReceived():
            return CompletionReceived(
                completion_id=ending.completion_id,
                provider="",
                model="",
                answers=(),
                attempts=ending.attempts,
                duration=0.0,
                cost_usd=ending.cost_usd,
            )
        case CompletionInterrupted():
            return CompletionInterrupted(
                completion_id=ending.completion_id,
                reason=ending.reason,
                cost_usd=ending.cost_usd,
                attempts=ending.attempts,
            )
    return ending
