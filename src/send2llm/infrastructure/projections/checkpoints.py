"""The rows of builds: in the database of their tables, so that rows and positions are committed together."""

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
