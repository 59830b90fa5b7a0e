"""Where the tests of projections take place: something is said, projections are at work, and builds come and go."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import psycopg
from onlooker import Onlooker
from psycopg.rows import TupleRow
from tally_projection import Tally

from send2llm.application.projections import Projection, ProjectionStatus
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.timing import Timing
from send2llm.testing.event_writer import EventWriter, said
from send2llm.testing.eventually import eventually, eventually_async

QUICK = Timing(page_size=10, poll=0.05, linger=0.0, shortest_backoff=0.02, longest_backoff=0.1)


class Stage(Onlooker):
    """A database of the test's own: what is said and projected in it, and what an onlooker sees of that."""

    def __init__(self, connection: psycopg.Connection[TupleRow], database: ConnectionInfo, writer: EventWriter) -> None:
        super().__init__(connection)
        self._database = database
        self._writer = writer

    def say(self, *texts: str) -> None:
        """Stores messages, each in a conversation of its own, ten to a commit."""
        rows = [row for text in texts for row in self._writer.prepare(uuid4(), said(text))]
        for start in range(0, len(rows), 10):
            self._writer.store(rows[start : start + 10])

    def mumble(self) -> None:
        """Stores a message that nobody can read."""
        (row,) = self._writer.prepare(uuid4(), said("mumbled"))
        self._writer.store([type(row)(row.originator_id, row.originator_version, row.topic, b"{")])

    def project(self, *projections: Projection, timing: Timing = QUICK) -> AbstractContextManager[None]:
        """Runs projections in the background of a ``with`` block."""
        return Projector(self._database, projections, self._writer.codec, timing).running()

    @contextmanager
    def counting(self, *texts: str) -> Iterator[None]:
        """The tally is at work, and has counted these already."""
        with self.project(Tally()):
            self.say(*texts)
            eventually(self.caught_up)
            yield

    def counted(self, *texts: str) -> None:
        """The tally has counted these, and nobody works on it any more."""
        with self.counting(*texts):
            pass


class Builds(PostgresProjectionBuilds):
    """The commands for builds, and how builds stand: those of the tally, unless another projection is named."""

    async def live(self) -> str:
        """The build that is read."""
        return next(build for build, role in (await self.roles()).items() if role == "live")

    async def roles(self) -> dict[str, str]:
        """The role of each build, such as ``{"1.1": "live"}``."""
        return {label: status.role for label, status in (await self._all("tally")).items()}

    async def come_to(self, roles: Mapping[str, str]) -> None:
        """Waits until these are the builds, and these their roles."""

        async def have_come() -> bool:
            return await self.roles() == roles

        await eventually_async(have_come)

    async def status(self, build: str, of: str = "tally") -> ProjectionStatus:
        return (await self._all(of))[build]

    async def until(
        self, build: str, role: str | None = None, state: str | None = None, of: str = "tally"
    ) -> ProjectionStatus:
        """Waits until a build has the role, or is in the state; tells how it stands then."""

        async def as_wanted() -> ProjectionStatus | None:
            status = (await self._all(of)).get(build)
            return status if status and role in (None, status.role) and state in (None, status.state) else None

        return await eventually_async(as_wanted)

    async def _all(self, name: str) -> dict[str, ProjectionStatus]:
        return {label(status): status for status in await self._statuses.all() if status.name == name}


def label(build: ProjectionStatus) -> str:
    return f"{build.version}.{build.build}"
