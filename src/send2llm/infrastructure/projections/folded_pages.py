"""One page of the log after another: read, folded, and committed together with the position."""

from sqlalchemy import Connection

from send2llm.application.projections import Projection, reads_texts
from send2llm.infrastructure.projections.folding import fold_events
from send2llm.infrastructure.projections.log_pages import LogPage, LogPages
from send2llm.infrastructure.projections.pace import Pace
from send2llm.infrastructure.projections.runner_checkpoint import BuildIsPaused, Checkpoint


class FoldedPages:
    """Those of one build, without the events that somebody decided to leave out."""

    def __init__(self, projection: Projection, checkpoint: Checkpoint, pages: LogPages) -> None:
        self._projection = projection
        self._checkpoint = checkpoint
        self._pages = pages
        self._topics = sorted(projection.topics)
        self._texts = reads_texts(projection)
        self._pace = Pace()
        self.left_out: frozenset[int] = frozenset()
        """The positions that are passed over, as far as this build has heard."""

    def advance(self, connection: Connection, position: int, limit: int) -> LogPage:
        """Fold at most ``limit`` events after ``position``, in a transaction of its own; gives the page.

        Raises what the fold raises, as ``fold_events`` does, ``CheckpointMoved`` and ``BuildIsPaused``.
        """
        with connection.begin():
            page = self._read(connection, position, limit)
            if page.count:
                self._checkpoint.hold(connection, position)
                if self.learn_left_out(connection):
                    page = self._read(connection, position, limit)
            if page.events:
                fold_events(self._projection, page.events, connection)
            if page.count:
                self._checkpoint.advance(connection, position, page.last, self._pace.after(page.count))
            elif self._checkpoint.paused(connection):
                raise BuildIsPaused
        return page

    def learn_left_out(self, connection: Connection) -> bool:
        """Look what somebody decided to leave out, and whether that is more; nobody can while the build is held."""
        before, self.left_out = self.left_out, self._checkpoint.skipped(connection)
        return self.left_out != before

    def pause(self) -> None:
        """There is nothing to fold now: the time until there is does not count as work."""
        self._pace.rest()

    def _read(self, connection: Connection, position: int, limit: int) -> LogPage:
        return self._pages.read(connection, position, limit, self._topics, texts=self._texts, skipped=self.left_out)
