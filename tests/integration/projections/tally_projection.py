"""A projection that would show every event that is passed over or counted twice."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, func, select
from sqlalchemy.dialects.postgresql import insert

from send2llm.domain.conversation_events import MessageAdded
from send2llm.projections import RecordedEvent, copy_rows, table_name

MESSAGES = "conversation.message_added"
COUNT = "SELECT coalesce(sum(count), 0) FROM tally_counts"
"""How many messages were counted by the build that is read."""


class Tally:
    """Counts events by what was said, and remembers the position of each: a second time breaks the primary key."""

    name = "tally"
    version = 1
    topics = frozenset({MESSAGES})
    tables = MetaData()
    counts = Table(
        table_name(name, version, "counts"),
        tables,
        Column("text", Text, primary_key=True),
        Column("count", BigInteger, nullable=False),
    )
    seen = Table(table_name(name, version, "seen"), tables, Column("position", BigInteger, primary_key=True))

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        said = Counter(recorded.event.message.text for recorded in events if isinstance(recorded.event, MessageAdded))
        new = insert(self.counts)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=["text"], set_={"count": self.counts.c.count + new.excluded.count}
            ),
            [{"text": text, "count": count} for text, count in sorted(said.items())],
        )
        copy_rows(connection, self.seen, [{"position": recorded.position} for recorded in events])


class TallyTwo(Tally):
    """The next version: it also keeps how long the texts are."""

    version = 2
    tables = MetaData()
    counts = Table(
        table_name("tally", 2, "counts"),
        tables,
        Column("text", Text, primary_key=True),
        Column("count", BigInteger, nullable=False),
    )
    seen = Table(
        table_name("tally", 2, "seen"),
        tables,
        Column("position", BigInteger, primary_key=True),
        Column("length", BigInteger, nullable=False),
    )

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        super_rows = [
            {"position": recorded.position, "length": len(recorded.event.message.text)} for recorded in events
        ]
        copy_rows(connection, self.seen, super_rows)
        for recorded in events:
            connection.exec_driver_sql(
                "INSERT INTO tally_v2_counts VALUES (%s, 1) "
                "ON CONFLICT (text) DO UPDATE SET count = tally_v2_counts.count + 1",
                (recorded.event.message.text,),
            )


def total(connection: Connection) -> int:
    """The sum of all counts."""
    return connection.execute(select(func.coalesce(func.sum(Tally.counts.c.count), 0))).scalar_one()
