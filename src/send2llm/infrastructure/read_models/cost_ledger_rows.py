"""What each event means for the cost ledger: a fold over plain rows, with no database in it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.completion import Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
)
from send2llm.domain.money import ZERO
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.read_models.cost_ledger_tables import USAGE_FIELDS
from send2llm.projections import RecordedEvent, allowance_id_of, conversation_id_of

Row = dict[str, Any]
"""A row of a table by its columns."""

AttemptKey = tuple[UUID, int]

_NO_USAGE: Row = dict.fromkeys(USAGE_FIELDS)


@dataclass(slots=True)
class CostLedgerRows:
    """The rows that a batch of events reads and writes.

    Who folds puts the attempts in that were there before; ``apply`` changes them and adds new ones.
    """

    attempts: dict[AttemptKey, Row] = field(default_factory=dict)
    holds: list[Row] = field(default_factory=list)

    def apply(self, recorded: RecordedEvent) -> None:
        """Fold one event."""
        match recorded.event:
            case CompletionRequested() as event:
                first = Attempt(1, event.provider, event.model, event.hold_usd)
                self._begin(recorded, event.completion_id, first)
            case AttemptFailed() as event:
                self._attempt_failed(recorded, event)
            case CompletionReceived() as event:
                self._end(recorded, event.completion_id, event.attempts, "received", None, event)
            case CompletionInterrupted() as event:
                self._end(recorded, event.completion_id, event.attempts, "interrupted", event.reason, event)
            case CompletionFailed() as event:
                self._give_up(recorded, event)
            case HoldTaken() as event:
                self._hold(recorded, event)

    def _begin(self, recorded: RecordedEvent, completion_id: UUID, attempt: Attempt) -> None:
        metadata = recorded.metadata
        self.attempts[completion_id, attempt.number] = {
            "completion_id": completion_id,
            "attempt": attempt.number,
            "conversation_id": conversation_id_of(recorded.stream),
            "tenant": metadata.tenant,
            "actor": metadata.actor,
            "provider": attempt.provider,
            "model": attempt.model,
            "status": "awaited",
            "error": None,
            **_NO_USAGE,
            "usage_estimated": False,
            "hold_usd": attempt.hold_usd,
            "cost_usd": None,
            "assumed": None,
            "price_version": None,
            "requested_at": metadata.occurred_at,
            "ended_at": None,
            "position": recorded.position,
        }

    def _attempt_failed(self, recorded: RecordedEvent, event: AttemptFailed) -> None:
        failed = self.attempts.get((event.completion_id, event.attempt))
        if failed is not None:
            failed.update(
                status="failed",
                error=event.error,
                cost_usd=ZERO if event.cost_usd is None else event.cost_usd,
                assumed=event.assumed or None,
                ended_at=recorded.metadata.occurred_at,
            )
        if event.next_attempt is not None:
            self._begin(recorded, event.completion_id, event.next_attempt)

    def _end(
        self,
        recorded: RecordedEvent,
        completion_id: UUID,
        attempt: int,
        status: str,
        error: str | None,
        event: CompletionReceived | CompletionInterrupted,
    ) -> None:
        ended = self.attempts.get((completion_id, attempt))
        if ended is None:
            return
        usage = event.reported_usage or event.estimated_usage
        ended.update(
            status=status,
            error=error,
            **_usage(usage),
            usage_estimated=usage is not None and event.reported_usage is None,
            cost_usd=event.cost_usd,
            assumed=event.assumed or None,
            price_version=event.price_version,
            ended_at=recorded.metadata.occurred_at,
        )

    def _give_up(self, recorded: RecordedEvent, event: CompletionFailed) -> None:
        """An attempt that was about to be made never was."""
        waiting = self.attempts.get((event.completion_id, event.attempts + 1))
        if waiting is not None:
            waiting.update(status="failed", error=event.error, cost_usd=ZERO, ended_at=recorded.metadata.occurred_at)

    def _hold(self, recorded: RecordedEvent, event: HoldTaken) -> None:
        self.holds.append(
            {
                "completion_id": event.completion_id,
                "attempt": event.attempt,
                "budget_id": event.budget_id,
                "period_key": event.period_key,
                "allowance_id": allowance_id_of(recorded.stream),
                "amount_usd": event.amount_usd,
                "at": recorded.metadata.occurred_at,
            }
        )


def _usage(usage: Usage | None) -> Row:
    return _NO_USAGE if usage is None else {name: getattr(usage, name) for name in USAGE_FIELDS}
