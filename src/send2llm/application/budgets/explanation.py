"""Which events a figure of a budget is the sum of."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args
from uuid import UUID

from send2llm.application.budgets.ports import BudgetLog
from send2llm.application.context import RecordedEvent
from send2llm.application.moments import Moment
from send2llm.application.ports import Clock
from send2llm.application.time_travel import ConversationLog
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.attempt_costs import attempt_costs
from send2llm.domain.budget_books import Books
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined
from send2llm.domain.errors import BudgetPeriodNotFound
from send2llm.domain.money import ZERO
from send2llm.domain.provider_budget_events import AllowanceGranted

Figure = Literal["limit", "carried_over", "settled", "lent", "left", "assumed", "overrun", "held"]
FIGURES: tuple[Figure, ...] = get_args(Figure)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, and by how much it changed the figure (US dollars)."""

    event: RecordedEvent
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Explanation:
    """The events that changed a figure of a period."""

    period_key: str
    entries: Sequence[Entry]


class BudgetExplanations:
    """Takes figures apart. The amounts of the entries add up to the figure, to the last digit."""

    def __init__(self, budgets: BudgetLog, log: ConversationLog, clock: Clock) -> None:
        self._budgets = budgets
        self._log = log
        self._clock = clock

    async def explain(
        self, budget_id: UUID, period_key: str | None, figure: Figure, moment: Moment | None = None
    ) -> Explanation:
        """The events behind a figure, in the period of that key or the one that runs; with ``moment`` as it was then.

        Raises ``BudgetNotFound``, ``InvalidRequest`` for a key that is none, ``BudgetPeriodNotFound`` for a period in
        which nothing was spent, ``StoreUnavailable``.
        """
        told = _stored(await self._budgets.events(budget_id), moment)
        plan = BudgetPlan.fold(budget_id, [one.event for one in told])  # type: ignore[misc] # the stream vouches for them
        running = plan.recurrence.containing(self._clock.now() if moment is None else moment.time)
        key = running.key if period_key is None else plan.recurrence.named(period_key).key
        entered = _stored(await self._budgets.events(budget_id, key), moment)
        if entered:
            entries = await self._held(entered, moment) if figure == "held" else _changes(entered, figure)
            return Explanation(key, entries)
        if key != running.key:
            raise BudgetPeriodNotFound(budget_id, key)
        return Explanation(key, _promised(told) if figure in ("limit", "left") else [])

    async def _held(self, events: Sequence[RecordedEvent], moment: Moment | None) -> Sequence[Entry]:
        """The holds, in allowances that are outstanding, of attempts whose end is not recorded."""
        books = _books(events)
        granted = [one.event.allowance_id for one in events if isinstance(one.event, AllowanceGranted)]
        entries: list[Entry] = []
        for allowance_id in granted:
            if allowance_id in books.outstanding:
                entries += [
                    Entry(taken, taken.event.amount_usd)
                    for taken in _stored(await self._budgets.hold_events(allowance_id), moment)
                    if isinstance(taken.event, HoldTaken) and await self._is_open(taken.event, moment)
                ]
        return entries

    async def _is_open(self, hold: HoldTaken, moment: Moment | None) -> bool:
        events = _stored(await self._log.events_of(hold.conversation_id), moment)
        return hold.hold_id not in attempt_costs(one.event for one in events)  # type: ignore[misc] # the stream vouches for them


def _stored(events: Sequence[RecordedEvent], moment: Moment | None) -> Sequence[RecordedEvent]:
    return events if moment is None else moment.stored(events)


def _promised(plan: Sequence[RecordedEvent]) -> Sequence[Entry]:
    """How the limit of a period came about that nothing was spent in yet."""
    before, entries = ZERO, []
    for recorded in plan:
        if isinstance(recorded.event, BudgetDefined | BudgetChanged) and recorded.event.limit_usd != before:
            entries.append(Entry(recorded, recorded.event.limit_usd - before))
            before = recorded.event.limit_usd
    return entries


def _changes(events: Sequence[RecordedEvent], figure: Figure) -> Sequence[Entry]:
    books = Books()
    before, entries = ZERO, []
    for recorded in events:
        books.enter(recorded.event)  # type: ignore[arg-type] # the stream's name vouches for it
        after: Decimal = getattr(books.balance, figure)
        if after != before:
            entries.append(Entry(recorded, after - before))
        before = after
    return entries


def _books(events: Sequence[RecordedEvent]) -> Books:
    books = Books()
    for recorded in events:
        books.enter(recorded.event)  # type: ignore[arg-type] # as above
    return books
