"""The projection contract: what a read model says about itself, and how it folds events.

A projection is one small class::

    class AnswersByModel:
        name = "answers_by_model"
        version = 1
        topics = frozenset({"conversation.completion_received"})
        tables = MetaData()
        answers = Table(
            table_name(name, version, "answers"), tables, Column("model", Text, primary_key=True),
            Column("count", BigInteger)
        )

        def fold(self, events, connection):
            counts = Counter(recorded.event.model for recorded in events)
            statement = insert(self.answers)  # from sqlalchemy.dialects.postgresql
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["model"], set_={"count": self.answers.c.count + statement.excluded.count}
                ),
                [{"model": model, "count": count} for model, count in counts.items()],
            )

The runner hands over the events in the order of their positions, in batches, each event once. It commits what
``fold`` wrote in one transaction with the position that the projection has reached, so a fold never sees an
event twice, whatever is killed and whenever. What a fold has to keep to:

- It changes only its own ``tables``, only through ``connection``, and neither commits nor rolls back.
- It keeps no state between calls: a batch may be rolled back and come again, cut differently.
- The result must not depend on where batches are cut: the same events give the same rows.
- It handles a batch in a few statements. A statement for each event makes a rebuild twenty times slower.
- Texts may have been erased: messages then hold ``ERASED`` (``send2llm.domain.message``) and other texts are empty. A
  projection that keeps texts folds ``conversation.erased`` too, and leaves its tables as if they had never been there.
- A projection without texts says ``reads_texts = False``: nothing has to be decrypted for it, and it folds faster.

When ``fold`` raises, only this projection stops. It keeps its position, and its status names the event and
the reason.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from sqlalchemy import Connection, MetaData

from send2llm.application.context import RecordedEvent

_IDENTIFIER_LIMIT = 63  # bytes: PostgreSQL cuts longer names off


@runtime_checkable
class Projection(Protocol):
    """A read model that is folded from events. Attributes of the class will do for the properties."""

    @property
    def name(self) -> str:
        """What it is called, in tables, commands and metrics: lower case words joined by underscores."""
        ...

    @property
    def version(self) -> int:
        """Goes up whenever tables or fold change; each version has tables and a position of its own."""
        ...

    @property
    def topics(self) -> Collection[str]:
        """The topics of the events that it folds; all others are passed over without being decoded."""
        ...

    @property
    def tables(self) -> MetaData:
        """Its tables, named by ``table_name``; created when the projection first runs, unless they exist."""
        ...

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        """Write what ``events`` mean for the tables; see the module for what it has to keep to."""
        ...


def reads_texts(projection: Projection) -> bool:
    """Whether a projection wants what people and models said: its ``reads_texts``, if it has one; all others do."""
    return bool(getattr(projection, "reads_texts", True))


def table_name(projection: str, version: int, table: str) -> str:
    """The name of a projection's table, such as ``history_v1_conversations``: versions stand side by side.

    Raises ValueError when PostgreSQL would cut the name off.
    """
    name = f"{projection}_v{version}_{table}"
    if len(name.encode()) > _IDENTIFIER_LIMIT:
        raise ValueError(f"The table name {name} is longer than {_IDENTIFIER_LIMIT} bytes; choose a shorter one.")
    return name


def view_name(projection: str, table: str) -> str:
    """The name under which a table of the build that is read can be found, such as ``history_conversations``."""
    return f"{projection}_{table}"


BuildRole = Literal["live", "building", "retired", "verifying", "verified", "different", "relay"]
"""What a build is there for. ``live``: it is what is read. ``building``: it will be, when it has caught up.
``retired``: it was, and is kept up to date so that it can be again. ``verifying``: it is folded from zero to be
compared with the live one; then ``verified``, or ``different``. ``relay``: it is no projection, and has no builds; it
hands events on."""

ProjectionState = Literal["running", "failed", "paused", "waiting", "done"]
"""``running``: a living process keeps it up to date. ``failed``: its fold raised, and it stands at its
position until it is retried; or the database does not let it go on (then there is no ``failed_position``), and it goes
on as soon as it can. ``paused``: somebody told it to stand still. ``waiting``: no process runs it now.
``done``: it was compared, and there is nothing more to do."""


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """How a build of a projection stands.

    ``position`` is the last event that it has taken in or passed over, ``head`` the last one in the log.
    ``lag_events`` counts positions, so that after a rolled back append it may be a little too high.
    ``lag_seconds`` is the age of the first event that it has not taken in, ``None`` when that cannot be read.
    ``rate`` is in events a second, during the last spell of work. ``reason`` and ``failed_position`` say why
    and where it failed; there is no position when it failed before it came to any event. Of a build that was
    compared, ``reason`` tells what is different. ``skipped`` counts events that somebody decided to leave out.
    ``waits_for`` says who keeps a build that has caught up from taking its place, or one that nobody needs any more
    from being removed.
    """

    name: str
    version: int
    position: int
    head: int
    lag_events: int
    lag_seconds: float | None
    state: ProjectionState
    rate: float
    updated_at: datetime
    reason: str | None = None
    failed_position: int | None = None
    build: int = 1
    role: BuildRole = "live"
    created_at: datetime | None = None
    skipped: int = 0
    waits_for: str | None = None

    @property
    def remaining_seconds(self) -> float | None:
        """How long it will take to catch up at its present rate, ``None`` if that is not known."""
        return self.lag_events / self.rate if self.rate > 0 and self.state == "running" else None


@dataclass(frozen=True, slots=True)
class BuildName:
    """One of a projection's builds."""

    version: int
    build: int

    def __str__(self) -> str:
        return f"{self.version}.{self.build}"


class ProjectionStatuses(Protocol):
    """The projections as they stand. Every method raises ``StoreUnavailable``."""

    async def all(self) -> Sequence[ProjectionStatus]:
        """Every build of every projection, by name."""
        ...


class ProjectionBuilds(Protocol):
    """What can be done with the builds of projections; runners, wherever they are, notice within a second.

    Every method raises ``ProjectionNotFound``, ``ProjectionConflict`` when the build is not in a state for it,
    ``DatabaseRightMissing``, and ``StoreUnavailable``.
    """

    async def rebuild(self, name: str) -> ProjectionStatus:
        """Begin another build of the live version beside it; it takes the live one's place when it has caught up."""
        ...

    async def verify(self, name: str) -> ProjectionStatus:
        """Begin a build that is compared with the live one when it has caught up."""
        ...

    async def swap(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        """Read what was built, from now on; it has to have caught up."""
        ...

    async def rollback(self, name: str) -> ProjectionStatus:
        """Read what was read before, from now on."""
        ...

    async def drop(self, name: str, build: BuildName) -> None:
        """Remove a build that is not live, with its tables."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a projection that no process works on, with all its builds, tables and views."""
        ...

    async def pause(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        """Let a build stand still, the live one if none is named."""
        ...

    async def resume(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        """Let it go on."""
        ...

    async def retry(self, name: str, build: BuildName | None = None) -> ProjectionStatus:
        """Let a build that failed try again."""
        ...

    async def skip(self, name: str, position: int, actor: str, build: BuildName | None = None) -> ProjectionStatus:
        """Leave the event out at which a build failed, in all builds of its version, and go on; that is recorded."""
        ...
