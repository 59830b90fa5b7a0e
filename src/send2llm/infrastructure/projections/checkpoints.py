"""How far each build of a projection has come: in the database of its tables, so that both are committed together."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    select,
    text,
)

from send2llm.application.projections import BuildName, BuildRole

metadata = MetaData()

checkpoints = Table(
    "projection_checkpoints",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("build", Integer, primary_key=True, server_default="1"),
    Column("role", Text, nullable=False, server_default="live"),
    Column("place", Text),
    Column("tables", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("position", BigInteger, nullable=False),
    Column("rate", Float, nullable=False),
    Column("reason", Text),
    Column("failed_position", BigInteger),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("retired_at", DateTime(timezone=True)),
    Column("waits_for", Text),
)
Index("projection_checkpoints_live", checkpoints.c.name, unique=True, postgresql_where=checkpoints.c.role == "live")

skips = Table(
    "projection_skips",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("skipped_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Events that somebody decided to leave out; they hold for every build of the version, so that all fold the same."""


WORKED_ON: Sequence[BuildRole] = ("live", "building", "retired", "verifying")
"""Roles of builds that are kept up to date. The others were compared, and their tables may be gone."""


class CheckpointMoved(Exception):
    """The position is not the one that this runner left: somebody else works on the projection, or it is gone."""


class BuildIsPaused(Exception):
    """Somebody wants the build to stand still."""


@dataclass(frozen=True, slots=True)
class BuildKey:
    """One build of one version of a projection; ``place`` is the schema of its tables, ``None`` the usual one."""

    name: str
    version: int
    build: int = 1
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """A build as its row has it."""

    name: str
    version: int
    build: int
    role: BuildRole
    place: str | None
    tables: Sequence[str]
    paused: bool
    position: int
    reason: str | None
    failed_position: int | None
    updated_at: datetime
    retired_at: datetime | None

    @property
    def key(self) -> BuildKey:
        """Which one it is."""
        return BuildKey(self.name, self.version, self.build, self.place)

    @property
    def label(self) -> str:
        """What people call it: ``2.1`` is the first build of version 2."""
        return str(BuildName(self.version, self.build))


def builds_of(connection: Connection, name: str, *, lock: bool = False) -> Sequence[Build]:
    """The builds of a projection, locked until the transaction ends if they are to be changed."""
    wanted = (
        select(*(checkpoints.c[field.name] for field in fields(Build)))
        .where(checkpoints.c.name == name)
        .order_by(checkpoints.c.version, checkpoints.c.build)
    )
    rows = connection.execute(wanted.with_for_update() if lock else wanted)
    return [Build(*row) for row in rows]


def usual_place(connection: Connection) -> str:
    """The schema of all that has no place of its own; the search path of a runner may begin with another."""
    return str(connection.execute(_USUAL_PLACE).scalar_one())


def qualified(place: str, name: str) -> str:
    """The name of a table or view in a statement."""
    return f"{quoted(place)}.{quoted(name)}"


def quoted(name: str) -> str:
    """A name in a statement, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


_USUAL_PLACE = text(
    "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'projection_checkpoints'::regclass"
)


def is_build(key: BuildKey) -> ColumnElement[bool]:
    """The condition for the row of a build."""
    same = (checkpoints.c.name == key.name) & (checkpoints.c.version == key.version)
    return same & (checkpoints.c.build == key.build)


class Checkpoint:
    """The row of one build. No method commits."""

    def __init__(self, key: BuildKey) -> None:
        self.key = key
        self.role: BuildRole = "live"
        """As it was when the position was moved the last time."""
        self._here = is_build(key)

    def begin(self, connection: Connection) -> int:
        """Give the position; raises CheckpointMoved when the build is gone."""
        begun = connection.execute(select(checkpoints.c.position, checkpoints.c.role).where(self._here)).one_or_none()
        if begun is None:
            raise CheckpointMoved(f"{self} was dropped.")
        self.role = begun.role
        position: int = begun.position
        return position

    def hold(self, connection: Connection, position: int) -> None:
        """See, before anything is folded, that the build is there and at ``position``; nobody changes that meanwhile.

        Without it a fold could meet no table of its own, and find one of the same name in the usual place. Raises
        CheckpointMoved and BuildIsPaused, as ``advance`` does.
        """
        held = connection.execute(
            select(checkpoints.c.paused)
            .where(self._here, checkpoints.c.position == position, checkpoints.c.role.in_(WORKED_ON))
            .with_for_update(key_share=True)
        ).one_or_none()
        if held is None:
            raise CheckpointMoved(f"{self} is no longer worked on at position {position}.")
        if held.paused:
            raise BuildIsPaused

    def lock(self, connection: Connection) -> None:
        """Let nobody change the build before the transaction ends."""
        connection.execute(select(checkpoints.c.position).where(self._here).with_for_update(key_share=True))

    def advance(self, connection: Connection, before: int, after: int, rate: float) -> None:
        """Move from ``before`` to ``after``.

        Raises CheckpointMoved when the position is not ``before`` or the build is gone, BuildIsPaused when it shall
        not move.
        """
        moved = connection.execute(
            checkpoints.update()
            .where(self._here, checkpoints.c.position == before)
            .values(position=after, rate=rate, updated_at=func.now())
            .returning(checkpoints.c.role, checkpoints.c.paused)
        ).one_or_none()
        if moved is None:
            raise CheckpointMoved(f"{self} is no longer at position {before}.")
        if moved.paused:
            raise BuildIsPaused
        self.role = moved.role

    def fail(self, connection: Connection, reason: str, position: int | None) -> None:
        """Say why the build stands still, and at which event."""
        connection.execute(
            checkpoints.update()
            .where(self._here)
            .values(reason=reason, failed_position=position, updated_at=func.now())
        )

    def forget_failure(self, connection: Connection) -> None:
        """Say nothing of an earlier failure any more."""
        connection.execute(checkpoints.update().where(self._here).values(reason=None, failed_position=None))

    def failed(self, connection: Connection) -> bool:
        """Whether the failure stands; ``retry`` and ``skip`` take it away. A build that is gone has none."""
        return bool(connection.execute(select(checkpoints.c.reason.is_not(None)).where(self._here)).scalar())

    def paused(self, connection: Connection) -> bool:
        """Whether it shall stand still; raises CheckpointMoved when the build is gone."""
        row = connection.execute(select(checkpoints.c.paused, checkpoints.c.role).where(self._here)).one_or_none()
        if row is None:
            raise CheckpointMoved(f"{self} was dropped.")
        self.role = row.role
        return bool(row.paused)

    def skipped(self, connection: Connection) -> frozenset[int]:
        """The positions of events that are left out."""
        left_out = select(skips.c.position).where(skips.c.name == self.key.name, skips.c.version == self.key.version)
        return frozenset(connection.execute(left_out).scalars())

    def __str__(self) -> str:
        return f"The projection {self.key.name} v{self.key.version}, build {self.key.build},"
