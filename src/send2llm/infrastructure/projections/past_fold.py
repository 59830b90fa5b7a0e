"""Folds a projection up to a position, into temporary tables of one session."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from send2llm.application.context import RecordedEvent
from send2llm.application.projections import Projection, reads_texts
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.projections.checkpoints import BuildKey
from send2llm.infrastructure.projections.failures import FoldRaised, reason_of
from send2llm.infrastructure.projections.folding import fold_events
from send2llm.infrastructure.projections.log_pages import LogPages
from send2llm.infrastructure.projections.runner_checkpoint import Checkpoint
from send2llm.infrastructure.projections.untouched import (
    ConversationColumns,
    create_views_with_untouched,
    find_touched,
    live_build,
    positions_of_touched,
)
from send2llm.infrastructure.projections.views import create_temporary_views

ALL: ConversationColumns = MappingProxyType({})
"""All tables, under all names."""

PAGE = 5_000
_FIRST_LOOK = 20_000
"""Events after which the planner is told how large the tables are; then whenever they may have doubled."""

_SESSION = text(
    "SELECT set_config('temp_buffers', '64MB', false), "
    "set_config('search_path', 'pg_temp, ' || current_setting('search_path'), false)"
)
_NOTHING_ELSE = text("SET TRANSACTION READ ONLY")


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class PastFold:
    """One projection up to one position; ``left`` is set when nobody waits for it any more."""

    pages: LogPages
    projection: Projection
    position: int
    by_conversation: ConversationColumns
    left: threading.Event

    def make(self, connection: Connection) -> None:
        """Make the tables in the session of ``connection``."""
        topics, texts = sorted(self.projection.topics), reads_texts(self.projection)
        key = BuildKey(self.projection.name, self.projection.version)
        connection.execute(_SESSION)
        skipped = Checkpoint(key).skipped(connection)
        live = live_build(connection, self.projection) if self.by_conversation else None
        _make_tables(connection, self.projection)
        if live is None:
            create_temporary_views(connection, self.projection)
            events = self._all(connection, topics, texts, skipped)
        else:
            find_touched(connection, topics, after=min(self.position, live.position))
            create_views_with_untouched(connection, self.projection, live, self.by_conversation)
            events = self._of_touched(connection, topics, texts, skipped)
        connection.execute(_NOTHING_ELSE)
        self._take_in(connection, events)

    def _all(
        self, connection: Connection, topics: Sequence[str], texts: bool, skipped: frozenset[int]
    ) -> Iterator[Sequence[RecordedEvent]]:
        reached, more = 0, True
        while more:
            page = self.pages.read(
                connection,
                reached,
                PAGE,
                topics,
                texts=texts,
                up_to=self.position,
                skipped=skipped,
                only_wanted=True,
            )
            yield page.events
            reached, more = page.last, page.count == PAGE

    def _of_touched(
        self, connection: Connection, topics: Sequence[str], texts: bool, skipped: frozenset[int]
    ) -> Iterator[Sequence[RecordedEvent]]:
        found = positions_of_touched(connection, topics, self.position)
        positions = [position for position in found if position not in skipped]
        for start in range(0, len(positions), PAGE):
            yield self.pages.at(connection, positions[start : start + PAGE], topics, texts=texts)

    def _take_in(self, connection: Connection, pages: Iterator[Sequence[RecordedEvent]]) -> None:
        count, look_at = 0, _FIRST_LOOK
        for events in pages:
            if self.left.is_set():
                raise Abandoned
            if events:
                self._fold(connection, events)
            count += len(events)
            if count >= look_at:
                _tell_the_planner(connection, self.projection)
                look_at *= 2

    def _fold(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        try:
            fold_events(self.projection, events, connection)
        except FoldRaised as raised:
            if isinstance(raised.__cause__, Exception):
                raise raised.__cause__ from None
            # Such as SystemExit, which would end the program that asks.
            raise ConfigurationError(
                f"The projection {self.projection.name} cannot be folded: it raised {reason_of(raised)}."
            ) from raised


def _make_tables(connection: Connection, projection: Projection) -> None:
    """Empty ones, which come before all of the same names."""
    try:
        projection.tables.create_all(connection, checkfirst=False)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise ConfigurationError(
                "To see the past, the database's role must be allowed to make temporary tables: "
                "GRANT TEMPORARY ON DATABASE ... TO ..."
            ) from None
        raise


def _tell_the_planner(connection: Connection, projection: Projection) -> None:
    """Nobody analyses temporary tables by himself, and an empty one is best read whole, which a large one is not."""
    for table in projection.tables.sorted_tables:
        connection.execute(text(f"ANALYZE {connection.dialect.identifier_preparer.format_table(table)}"))
