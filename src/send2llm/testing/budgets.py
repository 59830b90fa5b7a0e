"""The budgets in memory, and word among processes that a test can hear."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

from send2llm.application.budgets.ports import BudgetChange
from send2llm.application.context import Context, RecordedEvent
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.allowance import Allowance
from send2llm.domain.allowance_events import ClosingReason
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.errors import BudgetExceeded, StaleBudget
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.infrastructure.event_store.budget_appends import CHANGE_TOPICS, BudgetAppends
from send2llm.infrastructure.event_store.errors import VersionConflict
from send2llm.infrastructure.event_store.streams import (
    allowance_stream,
    budget_of,
    budget_plan_stream,
    budget_stream,
)
from send2llm.testing.clock import FakeClock, SequentialIdentifiers
from send2llm.testing.event_store import InMemoryEventStore


class InMemoryBudgets:
    """Implements the ``Budgets`` port on an ``InMemoryEventStore``, where conversations may be as well."""

    def __init__(
        self,
        store: InMemoryEventStore | None = None,
        clock: Clock | None = None,
        identifiers: Identifiers | None = None,
    ) -> None:
        self.store = store or InMemoryEventStore()
        self._appends = BudgetAppends(
            self.store.codec, clock or FakeClock(), identifiers or SequentialIdentifiers(0xEB00)
        )

    async def plan(self, budget_id: UUID) -> BudgetPlan:
        """A plan of the caller's own."""
        return BudgetPlan.fold(budget_id, self._events(budget_plan_stream(budget_id)))  # type: ignore[arg-type] # the stream's name vouches for them

    async def period(
        self,
        budget_id: UUID,
        period_key: str,
        *,
        fresh: bool = True,  # noqa: ARG002 - the port's; here everything is fresh
    ) -> ProviderBudget:
        """A period of the caller's own."""
        events = self._events(budget_stream(budget_id, period_key))
        return ProviderBudget.fold(budget_id, period_key, events)  # type: ignore[arg-type] # as above

    async def catch_up(self, periods: Sequence[tuple[UUID, str]]) -> None:  # noqa: ARG002 - the port's; see ``period``
        """Nothing to do."""
        self.store.must_be_available()

    async def allowance(self, allowance_id: UUID) -> Allowance:
        """An allowance as it stands now."""
        return Allowance.fold(allowance_id, self._events(allowance_stream(allowance_id)))  # type: ignore[arg-type] # as above

    async def close_allowance(self, allowance_id: UUID, reason: ClosingReason, *, context: Context) -> Allowance:
        """Let nothing be held from it any more, and give all that was."""
        with suppress(VersionConflict):
            self.store.append(self._appends.close(allowance_id, reason, context))
        return await self.allowance(allowance_id)

    async def save(self, *changed: BudgetPlan | ProviderBudget, context: Context) -> None:
        """Keep the new events of all of them, all or nothing."""
        self.store.must_be_available()
        append = self._appends.make(changed, context)
        if append is None:
            return
        try:
            self.store.append(append)
        except VersionConflict as conflict:
            raise StaleBudget(conflict.originator_id) from None

    async def changes(self, after: int) -> Sequence[BudgetChange]:
        """What changed which budgets there are, after a position."""
        self.store.must_be_available()
        return [
            BudgetChange(one.position, *budget_of(one.stream), one.event)  # type: ignore[arg-type] # the topics vouch for it
            for one in self.store.events[after:]
            if one.topic in CHANGE_TOPICS
        ]

    async def events(self, budget_id: UUID, period_key: str | None = None) -> Sequence[RecordedEvent]:
        """The events of a plan, or of one of its periods."""
        return self.store.stream(
            budget_plan_stream(budget_id) if period_key is None else budget_stream(budget_id, period_key)
        )

    async def hold_events(self, allowance_id: UUID) -> Sequence[RecordedEvent]:
        """The events of an allowance."""
        return self.store.stream(allowance_stream(allowance_id))

    def _events(self, stream: str) -> Sequence[object]:
        return [recorded.event for recorded in self.store.stream(stream)]


class FakeRecalls:
    """``Recalls`` that keep what was asked for; ``on_ask`` may be set to what other processes do then."""

    def __init__(self) -> None:
        self.asked: list[tuple[UUID, str]] = []
        self.on_ask: Callable[[UUID, str], Awaitable[None]] | None = None

    async def ask(self, budget_id: UUID, period_key: str) -> None:
        """Keep it, and tell."""
        self.asked.append((budget_id, period_key))
        if self.on_ask is not None:
            await self.on_ask(budget_id, period_key)


class RecordingBudgetObserver:
    """A ``BudgetObserver`` that keeps everything, in order."""

    def __init__(self) -> None:
        self.refusals: list[BudgetExceeded] = []
        self.overruns: list[tuple[UUID, str, object]] = []
        self.lapses: list[tuple[UUID, str, str, object]] = []

    def call_refused(self, refusal: BudgetExceeded) -> None:
        """Keep it."""
        self.refusals.append(refusal)

    def overrun_recorded(self, budget_id: UUID, period_key: str, amount_usd: object) -> None:
        """Keep it."""
        self.overruns.append((budget_id, period_key, amount_usd))

    def allowance_lapsed(self, budget_id: UUID, period_key: str, holder: str, assumed_usd: object) -> None:
        """Keep it."""
        self.lapses.append((budget_id, period_key, holder, assumed_usd))
