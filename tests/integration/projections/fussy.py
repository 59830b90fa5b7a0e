"""A projection that fails when it is told to: at poison."""

from collections.abc import Callable, Sequence

from onlooker import Onlooker
from sqlalchemy import Column, Connection, MetaData, Table, Text
from tally_projection import MESSAGES

from send2llm.projections import RecordedEvent, copy_rows


class Fussy:
    """Keeps what was said, and cannot stand poison until it is cured."""

    name = "fussy"
    version = 1
    topics = frozenset({MESSAGES})
    tables = MetaData()
    words = Table("fussy_v1_words", tables, Column("word", Text, nullable=False))

    def __init__(self, complaint: Callable[[Connection], object] | None) -> None:
        self.complaint = complaint

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        copy_rows(connection, self.words, [{"word": recorded.event.message.text} for recorded in events])
        if self.complaint and any(recorded.event.message.text == "poison" for recorded in events):
            self.complaint(connection)


def kept(onlooker: Onlooker) -> list[str]:
    """What the first build has kept."""
    return [word for (word,) in onlooker.rows("SELECT word FROM fussy_v1_words")]
