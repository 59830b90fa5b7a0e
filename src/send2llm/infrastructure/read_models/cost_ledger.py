"""The cost ledger: every attempt with its usage and cost, and how budgets are used."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, Connection, any_, literal, select

from send2llm.infrastructure.read_models import cost_ledger_tables
from send2llm.infrastructure.read_models.calls_before import calls_before
from send2llm.infrastructure.read_models.cost_ledger_rows import AttemptKey, CostLedgerRows, Row, UseKey
from send2llm.infrastructure.read_models.cost_ledger_tables import attempts, uses
from send2llm.projections import RecordedEvent, add_rows, copy_rows, replace_rows

TOPICS = frozenset(
    {
        "conversation.completion_requested",
        "conversation.attempt_failed",
        "conversation.completion_received",
        "conversation.completion_failed",
        "conversation.completion_interrupted",
    }
)


class CostLedgerProjection:
    """Folds calls into the tables of ``cost_ledger_tables``: one read and four writes a batch, however long."""

    name = cost_ledger_tables.NAME
    version = cost_ledger_tables.VERSION
    reads_texts = False
    topics = TOPICS
    tables = cost_ledger_tables.metadata

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        known = _load(connection, calls_before(events))
        rows = CostLedgerRows(dict(known))
        for recorded in events:
            rows.apply(recorded)
        replace_rows(connection, attempts, [rows.attempts[key] for key in known])
        copy_rows(connection, attempts, [row for key, row in rows.attempts.items() if key not in known])
        _add_uses(connection, rows.uses)


def _load(connection: Connection, calls: set[UUID]) -> dict[AttemptKey, Row]:
    if not calls:
        return {}
    wanted = literal(list(calls), ARRAY(attempts.c.completion_id.type))
    found = connection.execute(select(attempts).where(attempts.c.completion_id == any_(wanted))).mappings()
    return {(row["completion_id"], row["attempt"]): dict(row) for row in found}


def _add_uses(connection: Connection, changes: Mapping[UseKey, Sequence[Decimal]]) -> None:
    rows = [
        {"budget_id": budget_id, "period_key": period_key, "minute": minute, "held_usd": held, "spent_usd": spent}
        for (budget_id, period_key, minute), (held, spent) in sorted(changes.items())
    ]
    add_rows(connection, uses, rows)
