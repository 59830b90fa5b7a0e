"""The events of budgets, read from the log."""

from collections.abc import Sequence
from uuid import UUID

from send2llm.application.budgets.ports import BudgetChange
from send2llm.application.context import RecordedEvent
from send2llm.infrastructure.event_store.budget_appends import CHANGE_TOPICS
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.streams import (
    allowance_stream,
    budget_of,
    budget_plan_stream,
    budget_stream,
)


class StoredBudgetEvents:
    """Implements the ``BudgetLog`` port."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def changes(self, after: int) -> Sequence[BudgetChange]:
        """What changed which budgets there are, after a position; raises ``StoreUnavailable``."""
        return [
            BudgetChange(recorded.position, *budget_of(recorded.stream), recorded.event)  # type: ignore[arg-type] # the topics vouch for it
            for recorded in await self._log.of_topics(after, CHANGE_TOPICS)
        ]

    async def events(self, budget_id: UUID, period_key: str | None = None) -> Sequence[RecordedEvent]:
        """The events of a plan, or of one of its periods; raises ``StoreUnavailable``."""
        stream = budget_plan_stream(budget_id) if period_key is None else budget_stream(budget_id, period_key)
        return await self._log.stream(stream)

    async def hold_events(self, allowance_id: UUID) -> Sequence[RecordedEvent]:
        """The events of an allowance; raises ``StoreUnavailable``."""
        return await self._log.stream(allowance_stream(allowance_id))
