"""What the use cases about budgets need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from send2llm.application.context import Context, RecordedEvent
from send2llm.domain.allowance import Allowance
from send2llm.domain.allowance_events import ClosingReason
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_plan_events import BudgetPlanEvent
from send2llm.domain.errors import BudgetExceeded
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.domain.provider_budget_events import PeriodClosed, PeriodOpened


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """Something that changed which budgets there are: a plan, or which of its periods are open.

    ``position`` is that of the event in the log; ``period_key`` is ``None`` for events of the plan.
    """

    position: int
    budget_id: UUID
    period_key: str | None
    event: BudgetPlanEvent | PeriodOpened | PeriodClosed


class BudgetLog(Protocol):
    """The stored events of budgets; all that looking at the past needs. Every method raises ``StoreUnavailable``."""

    async def changes(self, after: int) -> Sequence[BudgetChange]:
        """All plan events, and openings and closings of periods, after a position of the log, in its order."""
        ...

    async def events(self, budget_id: UUID, period_key: str | None = None) -> Sequence[RecordedEvent]:
        """The events of a plan, or of one of its periods, in their order; none if there is no such stream."""
        ...

    async def hold_events(self, allowance_id: UUID) -> Sequence[RecordedEvent]:
        """The events of an allowance in their order."""
        ...


class Budgets(BudgetLog, Protocol):
    """The budgets in the event store. Every method raises ``StoreUnavailable``."""

    async def plan(self, budget_id: UUID) -> BudgetPlan:
        """A plan of the caller's own, as it stands now; raises ``BudgetNotFound``."""
        ...

    async def period(self, budget_id: UUID, period_key: str, *, fresh: bool = True) -> ProviderBudget:
        """A period of the caller's own; raises ``BudgetPeriodNotFound``.

        Without ``fresh`` it may lag behind what other processes stored; ``save`` will tell.
        """
        ...

    async def catch_up(self, periods: Sequence[tuple[UUID, str]]) -> None:
        """See to it that ``period`` gives these as they stand now, also without ``fresh``: one question for all."""
        ...

    async def allowance(self, allowance_id: UUID) -> Allowance:
        """An allowance as it stands now, without holds if nothing was held yet."""
        ...

    async def close_allowance(self, allowance_id: UUID, reason: ClosingReason, *, context: Context) -> Allowance:
        """Let nothing be held from it any more, however busy its holder is, and give it with all that ever was.

        Closing a closed one changes nothing.
        """
        ...

    async def save(self, *changed: BudgetPlan | ProviderBudget, context: Context) -> None:
        """Store the new events of all of them, all or nothing.

        Raises ``StaleBudget`` when somebody else was first with any of them. Once begun it is finished even if the
        waiting task is cancelled.
        """
        ...


class BudgetObserver(Protocol):
    """Whoever watches the budgets: logs, metrics, alarms."""

    def call_refused(self, refusal: BudgetExceeded) -> None:
        """A budget had not enough left for a call."""
        ...

    def overrun_recorded(self, budget_id: UUID, period_key: str, amount_usd: Decimal) -> None:
        """A provider billed more than it could have: somebody should look at its prices and its bill."""
        ...

    def allowance_lapsed(self, budget_id: UUID, period_key: str, holder: str, assumed_usd: Decimal) -> None:
        """Money was taken back from a process that seems to be gone."""
        ...


class Recalls(Protocol):
    """Word among the processes that somebody lacks money which others may have idle."""

    async def ask(self, budget_id: UUID, period_key: str) -> None:
        """Ask all other processes to give back what they do not need. Only a hint: it may get lost."""
        ...
