"""The budgets in the event store on PostgreSQL."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from eventsourcing.persistence import PersistenceError
from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.allowance import Allowance
from send2llm.domain.allowance_events import AllowanceEvent, ClosingReason
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_plan_events import BudgetPlanEvent
from send2llm.domain.errors import BudgetPeriodNotFound, StaleBudget, StoreOverloaded, StoreUnavailable
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.domain.provider_budget_events import ProviderBudgetEvent
from send2llm.infrastructure.event_store.append import Append
from send2llm.infrastructure.event_store.budget_appends import BudgetAppends
from send2llm.infrastructure.event_store.budget_events import StoredBudgetEvents
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.errors import AppendQueueFull, VersionConflict
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.event_store.streams import (
    allowance_stream,
    budget_of,
    budget_plan_stream,
    budget_stream,
)

_KEPT = 10_000
"""Periods that are kept folded."""

_Key = tuple[UUID, str]


class EventSourcedBudgets(StoredBudgetEvents):
    """Implements the ``Budgets`` port.

    Periods that were used lately are kept folded. A kept one may lag behind other processes; that shows at the latest
    when its next events meet others at the same versions, and then only what is new is read.
    """

    def __init__(
        self,
        recorder: GroupCommitRecorder,
        pool: AsyncConnectionPool,
        codec: EventCodec,
        clock: Clock,
        identifiers: Identifiers,
    ) -> None:
        super().__init__(EventLog(pool, codec))
        self._recorder = recorder
        self._appends = BudgetAppends(codec, clock, identifiers)
        self._kept: OrderedDict[_Key, ProviderBudget] = OrderedDict()

    async def plan(self, budget_id: UUID) -> BudgetPlan:
        """A plan of the caller's own; raises ``BudgetNotFound``, ``StoreUnavailable``."""

        def fold(events: Sequence[BudgetPlanEvent]) -> BudgetPlan:
            return BudgetPlan.fold(budget_id, events)

        return await self._log.fold_stream(budget_plan_stream(budget_id), 0, fold)

    async def period(self, budget_id: UUID, period_key: str, *, fresh: bool = True) -> ProviderBudget:
        """A period of the caller's own; raises ``BudgetPeriodNotFound``, ``StoreUnavailable``."""
        known = self._kept.get((budget_id, period_key))
        if known is None or fresh:
            stream = budget_stream(budget_id, period_key)
            after = 0 if known is None else known.version
            known = await self._log.fold_stream(stream, after, partial(_follow, (budget_id, period_key), known))
            if not known.version:
                raise BudgetPeriodNotFound(budget_id, period_key)
            self._keep(known)
        return known.copy()

    async def catch_up(self, periods: Sequence[tuple[UUID, str]]) -> None:
        """Read what is new in these periods, after asking once in which of them anything is."""
        known = {key: self._kept[key].version if key in self._kept else 0 for key in periods}
        streams = {budget_stream(*key): version for key, version in known.items()}
        for stream in await self._log.grown(streams):
            budget_id, period_key = budget_of(stream)
            await self.period(budget_id, period_key or "")

    async def allowance(self, allowance_id: UUID) -> Allowance:
        """An allowance as it stands now; raises ``StoreUnavailable``."""

        def fold(events: Sequence[AllowanceEvent]) -> Allowance:
            return Allowance.fold(allowance_id, events)

        return await self._log.fold_stream(allowance_stream(allowance_id), 0, fold)

    async def close_allowance(self, allowance_id: UUID, reason: ClosingReason, *, context: Context) -> Allowance:
        """Let nothing be held from it any more, and give all that was; raises ``StoreUnavailable``."""
        with suppress(StaleBudget):  # it is closed already
            await self._stored(self._appends.close(allowance_id, reason, context), ())
        return await self.allowance(allowance_id)

    async def save(self, *changed: BudgetPlan | ProviderBudget, context: Context) -> None:
        """Store the new events of all of them, all or nothing; raises ``StaleBudget``, ``StoreUnavailable``."""
        append = self._appends.make(changed, context)
        if append is not None:
            saved = [budget.copy() for budget in changed if isinstance(budget, ProviderBudget)]
            await self._stored(append, saved)

    async def _stored(self, append: Append, saved: Sequence[ProviderBudget]) -> None:
        try:
            stored = self._recorder.append(append)
            stored.add_done_callback(self._remembering(saved))
            await asyncio.shield(stored)
        except VersionConflict as conflict:
            raise StaleBudget(conflict.originator_id) from None
        except AppendQueueFull as error:
            raise StoreOverloaded(f"{error} Try again in a moment.") from error
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error

    def _remembering(self, saved: Sequence[ProviderBudget]) -> Callable[[asyncio.Future[Any]], None]:
        """Keeps what is kept true, also when nobody waits for the append any more."""

        def remember(stored: asyncio.Future[Any]) -> None:
            if not stored.cancelled() and stored.exception() is None:
                for budget in saved:
                    self._keep(budget)

        return remember

    def _keep(self, budget: ProviderBudget) -> None:
        """Keep a period, which must not change any more, unless a later version is known already."""
        key = (budget.budget_id, budget.period.key)
        known = self._kept.get(key)
        if known is None or known.version < budget.version:
            self._kept[key] = budget
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def _follow(key: _Key, known: ProviderBudget | None, events: Sequence[ProviderBudgetEvent]) -> ProviderBudget:
    if known is not None and not events:
        return known
    budget = ProviderBudget(*key) if known is None else known.copy()
    budget.follow(events)
    return budget
