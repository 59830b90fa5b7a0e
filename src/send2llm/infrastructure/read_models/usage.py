"""Usage: how many calls, tokens, failures and dollars there were, and how long answers took, by time and by whom."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Connection, any_, delete, literal, select

from send2llm.infrastructure.read_models import usage_tables
from send2llm.infrastructure.read_models.calls_before import calls_before
from send2llm.infrastructure.read_models.usage_rows import Key, Row, UsageRows
from send2llm.infrastructure.read_models.usage_tables import KEY, LONGEST, calls, durations, quarters, troubles
from send2llm.projections import RecordedEvent, add_rows, copy_rows

TOPICS = frozenset(
    {
        "conversation.completion_requested",
        "conversation.attempt_failed",
        "conversation.completion_received",
        "conversation.completion_failed",
        "conversation.completion_interrupted",
        "conversation.completion_refused",
    }
)

_LONGEST = frozenset(LONGEST)


class UsageProjection:
    """Folds calls into the tables of ``usage_tables``: one read and a few writes a batch, however long."""

    name = usage_tables.NAME
    version = usage_tables.VERSION
    reads_texts = False
    topics = TOPICS
    tables = usage_tables.metadata

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        known = _load(connection, calls_before(events))
        rows = UsageRows(dict(known))
        for recorded in events:
            rows.apply(recorded)
        changed = [completion_id for completion_id, row in known.items() if rows.calls[completion_id] != row]
        _remove(connection, changed)
        copy_rows(
            connection,
            calls,
            [row for key, row in rows.calls.items() if row is not None and row != known.get(key)],
        )
        add_rows(connection, quarters, [{**_named(key), **sums} for key, sums in rows.quarters.items()], _LONGEST)
        add_rows(
            connection,
            troubles,
            [
                {**_named(key), "kind": kind, "error": error, "times": times}
                for (key, kind, error), times in rows.troubles.items()
            ],
        )
        add_rows(
            connection,
            durations,
            [
                {**_named(key), "measure": measure, "up_to_us": bound, "times": times}
                for (key, measure, bound), times in rows.durations.items()
            ],
        )


def _named(key: Key) -> Row:
    return dict(zip(KEY, key, strict=True))


def _load(connection: Connection, wanted: set[UUID]) -> Mapping[UUID, Row]:
    if not wanted:
        return {}
    found = connection.execute(select(calls).where(_is_one_of(wanted))).mappings()
    return {row["completion_id"]: dict(row) for row in found}


def _remove(connection: Connection, ended: Sequence[UUID]) -> None:
    if ended:
        connection.execute(delete(calls).where(_is_one_of(ended)))


def _is_one_of(wanted: Iterable[UUID]) -> ColumnElement[bool]:
    return calls.c.completion_id == any_(literal(list(wanted), ARRAY(calls.c.completion_id.type)))
