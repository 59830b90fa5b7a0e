"""The cost ledger, folded from a log without its tables."""

from collections.abc import Iterable

from send2llm.application.context import RecordedEvent
from send2llm.infrastructure.read_models.cost_ledger_rows import AttemptKey, CostLedgerRows, Row


def ledger_of(events: Iterable[RecordedEvent]) -> dict[AttemptKey, Row]:
    """The attempts."""
    rows = CostLedgerRows()
    for recorded in events:
        rows.apply(recorded)
    return rows.attempts
