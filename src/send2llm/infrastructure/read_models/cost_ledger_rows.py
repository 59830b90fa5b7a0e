"""What each event means for the cost ledger: a fold over plain rows, with no database in it."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from send2llm.events import (
    ZERO,
    Attempt,
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
    Usage,
)
from send2llm.infrastructure.read_models.cost_ledger_tables import USAGE_FIELDS
from send2llm.projections import RecordedEvent, conversation_id_of

Row = dict[str, Any]
"""A row of a table by its columns."""

AttemptKey = tuple[UUID, int]
UseKey = tuple[UUID, str, datetime]

_NO_USAGE: Row = dict.fromkeys(USAGE_FIELDS)


@dataclass(slots=True)
class CostLedgerRows:
    """The rows that a batch of events reads and writes.

    Who folds puts the attempts in that were there before; ``apply`` changes them and adds new ones.
    """

    attempts: dict[AttemptKey, Row] = field(default_factory=dict)
    uses: defaultdict[UseKey, list[Decimal]] = field(default_factory=lambda: defaultdict(lambda: [ZERO, ZERO]))
    """What is held more, and what is spent more, by budget, period and minute."""

    def apply(self, recorded: RecordedEvent) -> None:
        """Fold one event."""
        match recorded.event:
            case CompletionRequested() as event:
                first = Attempt(1, event.provider, event.model, event.hold_usd, event.paid_by)
                self._begin(recorded, event.completion_id, first)
            case AttemptFailed() as event:
                self._attempt_failed(recorded, event)
            case CompletionReceived() as event:
                self._answered(recorded, event, event.attempts, "received", None)
            case CompletionInterrupted() as event:
                self._answered(recorded, event, event.attempts, "interrupted", event.reason)
            case CompletionFailed() as event:
                self._never_made(recorded, event.completion_id, status="failed", error=event.error)

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
            "paid_by": [[str(paying.budget_id), paying.period_key] for paying in attempt.paid_by],
            "cost_usd": None,
            "assumed": None,
            "price_version": None,
            "requested_at": metadata.occurred_at,
            "ended_at": None,
            "position": recorded.position,
        }
        self._use(recorded, completion_id, attempt.number, held=attempt.hold_usd or ZERO)

    def _attempt_failed(self, recorded: RecordedEvent, event: AttemptFailed) -> None:
        self._end(
            recorded,
            (event.completion_id, event.attempt),
            ZERO if event.cost_usd is None else event.cost_usd,
            status="failed",
            error=event.error,
            assumed=event.assumed or None,
        )
        if event.next_attempt is not None:
            self._begin(recorded, event.completion_id, event.next_attempt)

    def _answered(
        self,
        recorded: RecordedEvent,
        event: CompletionReceived | CompletionInterrupted,
        attempt: int,
        status: str,
        error: str | None,
    ) -> None:
        usage = event.reported_usage or event.estimated_usage
        self._end(
            recorded,
            (event.completion_id, attempt),
            event.cost_usd,
            status=status,
            error=error,
            **_usage(usage),
            usage_estimated=usage is not None and event.reported_usage is None,
            assumed=event.assumed or None,
            price_version=event.price_version,
        )
        self._never_made(recorded, event.completion_id, status=status, error=error)

    def _never_made(self, recorded: RecordedEvent, completion_id: UUID, *, status: str, error: str | None) -> None:
        """The call has ended: an attempt that was about to be made never was."""
        number = 1
        while (known := self.attempts.get((completion_id, number))) is not None:
            if known["ended_at"] is None:
                self._end(recorded, (completion_id, number), ZERO, status=status, error=error)
            number += 1

    def _end(self, recorded: RecordedEvent, key: AttemptKey, cost: Decimal | None, **known: object) -> None:
        ended = self.attempts.get(key)
        if ended is None:
            return
        first = ended["ended_at"] is None
        # Written off because its process seemed gone, and answered after all: the first ending does not count.
        before = ZERO if first else ended["cost_usd"] or ZERO
        held = -(ended["hold_usd"] or ZERO) if first else ZERO
        ended.update(known, cost_usd=cost, ended_at=recorded.metadata.occurred_at)
        self._use(recorded, *key, held=held, spent=(cost or ZERO) - before)

    def _use(
        self, recorded: RecordedEvent, completion_id: UUID, attempt: int, *, held: Decimal, spent: Decimal = ZERO
    ) -> None:
        minute = recorded.metadata.occurred_at.replace(second=0, microsecond=0)
        for budget_id, period_key in self.attempts[completion_id, attempt]["paid_by"]:
            change = self.uses[UUID(budget_id), period_key, minute]
            change[0] += held
            change[1] += spent


def _usage(usage: Usage | None) -> Row:
    return _NO_USAGE if usage is None else {name: getattr(usage, name) for name in USAGE_FIELDS}
