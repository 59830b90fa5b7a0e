"""How long models take to answer, by the hour of the day: a projection in a package of its own.

It keeps a narrow row for each answer, so that any percentile can be asked for later, and needs no texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Float, MetaData, SmallInteger, Table, Text

from send2llm.projections import RecordedEvent, copy_rows, table_name


class AnswerTimes:
    """One row for each answer: when, who, how long."""

    name = "answer_times"
    version = 1
    topics = frozenset({"conversation.completion_received"})
    reads_texts = False
    tables = MetaData()
    answers = Table(
        table_name(name, version, "answers"),
        tables,
        Column("position", BigInteger, primary_key=True),
        Column("hour", SmallInteger, nullable=False),
        Column("model", Text, nullable=False),
        Column("seconds", Float, nullable=False),
    )

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        """Add a row for each; the runner commits them together with the position."""
        copy_rows(connection, self.answers, [self.row(recorded) for recorded in events])

    @staticmethod
    def row(recorded: RecordedEvent) -> Mapping[str, Any]:
        """What is kept of an answer; the hour is that of its end, in UTC."""
        return {
            "position": recorded.position,
            "hour": recorded.metadata.occurred_at.hour,
            "model": recorded.event.model,
            "seconds": recorded.event.duration,
        }
