"""What a build does when it has come to the end of the log: it takes its place, or is compared, or just goes on."""

import structlog
from sqlalchemy import Connection, func, text
from sqlalchemy.exc import OperationalError

from send2llm.application.projections import BuildName, Projection, reads_texts
from send2llm.domain.errors import ProjectionConflict
from send2llm.infrastructure.projections.builds import remove_tables, stands_still, take_turn
from send2llm.infrastructure.projections.checkpoints import Build, builds_of, checkpoints, is_build
from send2llm.infrastructure.projections.comparison import differences
from send2llm.infrastructure.projections.dependants import OthersDepend
from send2llm.infrastructure.projections.failures import is_passing
from send2llm.infrastructure.projections.folding import fold_events
from send2llm.infrastructure.projections.log_pages import LogPages
from send2llm.infrastructure.projections.runner_checkpoint import Checkpoint
from send2llm.infrastructure.projections.swap_tries import SwapTries
from send2llm.infrastructure.projections.swaps import ViewsAreRead, retire_unread, swap

log = structlog.get_logger(__name__)


class LastEventsFailed(Exception):
    """One of the last few events could not be folded; nothing was. Page after page, it can be told which."""


class Arrival:
    """Looks after one build at the end of the log."""

    def __init__(self, projection: Projection, checkpoint: Checkpoint, pages: LogPages) -> None:
        self._projection = projection
        self._checkpoint = checkpoint
        self._key = checkpoint.key
        self._pages = pages
        self._tries = SwapTries()

    def at_the_end(self, connection: Connection, position: int) -> int | None:
        """The build has caught up with the log; gives its position then, ``None`` if it has nothing more to do.

        Raises ``LastEventsFailed``, ``BuildIsPaused``, and what keeps it from its place, or from being compared.
        """
        if self._checkpoint.role == "building" and self._tries.is_due():
            return self._take_its_place(connection, position)
        if self._checkpoint.role == "verifying":
            return self._compare(connection, position)
        return position

    def _take_its_place(self, connection: Connection, position: int) -> int:
        """Be read instead of the live build; if somebody reads that, try later."""
        try:
            with connection.begin():
                return self._exchange(connection, position)
        except OthersDepend:
            raise
        except ViewsAreRead as error:
            self._tries.failed()
            self._tell(connection, str(error))
        except (ProjectionConflict, OperationalError) as error:
            log.info("projection.swap_waits", projection=self._key.name, reason=type(error).__name__)
        return position

    def _exchange(self, connection: Connection, position: int) -> int:
        """Take in the last few events, for which the live build waits, and its place; gives the position then."""
        name = self._key.name
        take_turn(connection, name)
        live = next((one for one in builds_of(connection, name, lock=True) if one.role == "live"), None)
        self._checkpoint.hold(connection, position)
        if live is not None and live.position > position:
            self._fold_up_to(connection, position, live.position)
            self._checkpoint.advance(connection, position, live.position, 0.0)
        overtaken = live is not None and live.version > self._key.version
        if overtaken:  # a newer version has become what is read meanwhile
            retire_unread(connection, self._key)
        else:
            swap(connection, name, BuildName(self._key.version, self._key.build), self._tries.patience)
        done = "projection.overtaken" if overtaken else "projection.swapped"
        log.info(done, projection=name, version=self._key.version, build=self._key.build)
        return max(position, live.position if live is not None else 0)

    def _tell(self, connection: Connection, waits_for: str) -> None:
        log.info("projection.swap_waits", projection=self._key.name, reason=waits_for)
        with connection.begin():
            connection.execute(checkpoints.update().where(is_build(self._key)).values(waits_for=waits_for))

    def _compare(self, connection: Connection, position: int) -> int | None:
        """Come to just the position of the live build, which waits meanwhile, and compare all rows."""
        with connection.begin():
            take_turn(connection, self._key.name)
            builds = builds_of(connection, self._key.name, lock=True)
            live = next((build for build in builds if build.role == "live"), None)
            mine = next((build for build in builds if build.key == self._key), None)
            if live is None or mine is None or live.version != mine.version:
                return None if mine is None else position
            if live.position < position:
                if live.paused or live.reason:
                    raise ProjectionConflict(stands_still(live))
                return position
            self._checkpoint.hold(connection, position)
            self._fold_up_to(connection, position, live.position)
            found = differences(connection, live, mine)
            if found and _erased_after(connection, live.position):
                # The live build has read texts that were gone already when they were read here. It will be told.
                if live.position > position:
                    self._checkpoint.advance(connection, position, live.position, 0.0)
                return live.position
            self._conclude(connection, mine, live.position, found)
        log.info("projection.verified", projection=self._key.name, differences=found)
        return None

    def _fold_up_to(self, connection: Connection, position: int, end: int) -> None:
        try:
            self._fold_pages(connection, position, end)
        except Exception as error:  # a fold is anybody's code
            if is_passing(error):
                raise
            raise LastEventsFailed from error

    def _fold_pages(self, connection: Connection, position: int, end: int) -> None:
        skipped = self._checkpoint.skipped(connection)
        topics, texts = sorted(self._projection.topics), reads_texts(self._projection)
        while position < end:
            page = self._pages.read(connection, position, _PAGE, topics, texts=texts, up_to=end, skipped=skipped)
            if page.events:
                fold_events(self._projection, page.events, connection)
            if not page.count:
                return
            position = page.last

    @staticmethod
    def _conclude(connection: Connection, mine: Build, position: int, found: str) -> None:
        """Tables that are the same are of no more use; others can be looked at until the build is dropped."""
        if not found:
            remove_tables(connection, mine)
        connection.execute(
            checkpoints.update()
            .where(is_build(mine.key))
            .values(
                role="different" if found else "verified",
                reason=found or None,
                position=position,
                updated_at=func.now(),
            )
        )


def _erased_after(connection: Connection, position: int) -> bool:
    """Whether the log tells of an erasure that no build has come to at this position."""
    return bool(connection.execute(_ERASED_AFTER, {"position": position}).scalar_one())


_PAGE = 1000

_ERASED_AFTER = text(
    "SELECT EXISTS (SELECT FROM stored_events WHERE notification_id > :position AND topic = 'conversation.erased')"
)
