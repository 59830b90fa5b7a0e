"""What each event means for the usage: a fold over plain numbers, with no database in it."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from send2llm.events import (
    ZERO,
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRefused,
    CompletionRequested,
    Usage,
)
from send2llm.infrastructure.read_models.duration_buckets import bucket_of, microseconds
from send2llm.infrastructure.read_models.usage_tables import AMOUNTS, COUNTS, KEY, LONGEST, TOKENS
from send2llm.projections import RecordedEvent, storable_text

Row = dict[str, Any]
"""A row of a table by its columns."""

Key = tuple[datetime, str, str, str, str]
"""Quarter of an hour, provider, model, tenant, actor."""


def _nothing() -> Row:
    return {**dict.fromkeys((*COUNTS, *LONGEST), 0), **dict.fromkeys(AMOUNTS, ZERO)}


@dataclass(slots=True)
class UsageRows:
    """What a batch of events adds to the tables.

    Who folds puts the calls in that were there before; those that have ended are ``None`` afterwards.
    """

    calls: dict[UUID, Row | None] = field(default_factory=dict)
    quarters: defaultdict[Key, Row] = field(default_factory=lambda: defaultdict(_nothing))
    troubles: Counter[tuple[Key, str, str]] = field(default_factory=Counter)
    durations: Counter[tuple[Key, str, int]] = field(default_factory=Counter)

    def apply(self, recorded: RecordedEvent) -> None:
        """Fold one event."""
        match recorded.event:
            case CompletionRequested() as event:
                key = _key(recorded, event.provider, event.model)
                self._begin(event.completion_id, key)
                self.quarters[key]["calls"] += 1
            case AttemptFailed() as event:
                self._attempt_failed(recorded, event)
            case CompletionReceived() as event:
                self._answered(event)
            case CompletionInterrupted() as event:
                self._interrupted(event)
            case CompletionFailed() as event:
                self._failed(event)
            case CompletionRefused() as event:
                self._refused(recorded, event)

    def _begin(self, completion_id: UUID, key: Key) -> None:
        self.quarters[key]["attempts"] += 1
        self.calls[completion_id] = {
            "completion_id": completion_id,
            **dict(zip(KEY, key, strict=True)),
            "cost_usd": None,
            "assumed_usd": None,
        }

    def _attempt_failed(self, recorded: RecordedEvent, event: AttemptFailed) -> None:
        row = self.calls.get(event.completion_id)
        if row is None:
            return
        key = _key_of(row)
        self.troubles[key, "failure", event.error] += 1
        self._spend(key, event.cost_usd, event.assumed)
        if (following := event.next_attempt) is not None:
            begun = _key(recorded, following.provider, following.model)
            # Whoever recorded the failure, the call is still its caller's.
            self._begin(event.completion_id, (*begun[:3], *key[3:]))

    def _failed(self, event: CompletionFailed) -> None:
        if (row := self.calls.get(event.completion_id)) is not None:
            self.quarters[_key_of(row)]["failed"] += 1
            self.calls[event.completion_id] = None

    def _answered(self, event: CompletionReceived) -> None:
        if (row := self.calls.get(event.completion_id)) is None:
            return
        self.calls[event.completion_id] = None
        key = _key_of(row)
        sums = self.quarters[key]
        if row["cost_usd"] is not None:  # it was written off, and is answered after all
            sums["interrupted"] -= 1
            sums["cost_usd"] -= row["cost_usd"]
            sums["assumed_usd"] -= row["assumed_usd"]
            self.troubles[key, "interruption", "process_gone"] -= 1
        sums["answered"] += 1
        sums["unpriced"] += event.cost_usd is None
        self._spend(key, event.cost_usd, event.assumed)
        _use(sums, event.reported_usage, event.estimated_usage)
        self._last(key, "duration", event.duration)
        if event.time_to_first_token is not None:
            sums["streamed"] += 1
            self._last(key, "first_token", event.time_to_first_token)

    def _interrupted(self, event: CompletionInterrupted) -> None:
        row = self.calls.get(event.completion_id)
        if row is None or row["cost_usd"] is not None:
            return
        key = _key_of(row)
        sums = self.quarters[key]
        sums["interrupted"] += 1
        self.troubles[key, "interruption", event.reason] += 1
        cost = self._spend(key, event.cost_usd, event.assumed)
        if event.reason == "process_gone":  # it may be answered after all; whoever wrote this knew of no usage
            assumed = cost if event.assumed else ZERO
            self.calls[event.completion_id] = {**row, "cost_usd": cost, "assumed_usd": assumed}
            return
        self.calls[event.completion_id] = None
        used = _use(sums, event.reported_usage, event.estimated_usage)
        sums["unpriced"] += used and event.cost_usd is None

    def _refused(self, recorded: RecordedEvent, event: CompletionRefused) -> None:
        """It counts at the first candidate, which would have been asked."""
        first = event.decision.candidates[0] if event.decision.candidates else None
        key = _key(recorded, first.provider if first else "", first.model if first else event.requested_model)
        self.quarters[key]["refused"] += 1
        self.troubles[key, "refusal", event.error] += 1

    def _spend(self, key: Key, cost: Decimal | None, assumed: str) -> Decimal:
        spent = cost or ZERO
        sums = self.quarters[key]
        sums["cost_usd"] += spent
        if assumed:
            sums["assumed_usd"] += spent
        return spent

    def _last(self, key: Key, measure: str, seconds: float) -> None:
        sums, lasted = self.quarters[key], microseconds(seconds)
        sums[f"{measure}_us"] += lasted
        sums[f"longest_{measure}_us"] = max(sums[f"longest_{measure}_us"], lasted)
        self.durations[key, measure, bucket_of(lasted)] += 1


def _use(sums: Row, reported: Usage | None, estimated: Usage | None) -> bool:
    """Count the tokens, and whether they are known at all."""
    usage = reported or estimated
    if usage is None:
        return False
    for name in TOKENS:
        sums[name] += getattr(usage, name)
    sums["estimated"] += reported is None
    return True


def _key(recorded: RecordedEvent, provider: str, model: str) -> Key:
    at = recorded.metadata.occurred_at
    quarter = at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)
    tenant, actor = recorded.metadata.tenant, recorded.metadata.actor
    # Stored as they are here, so that no two keys of a batch become the same row.
    return quarter, storable_text(provider), storable_text(model), storable_text(tenant), storable_text(actor)


def _key_of(row: Row) -> Key:
    return row["quarter"], row["provider"], row["model"], row["tenant"], row["actor"]
