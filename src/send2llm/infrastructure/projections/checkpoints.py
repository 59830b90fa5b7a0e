"""How far each projection has come: in the database of its tables, so that both are committed together."""

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from send2llm.application.projections import Projection

metadata = MetaData()

checkpoints = Table(
    "projection_checkpoints",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("rate", Float, nullable=False),
    Column("reason", Text),
    Column("failed_position", BigInteger),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)


class CheckpointMoved(Exception):
    """The position is not the one that this runner left: somebody else works on the projection."""


class Checkpoint:
    """The row of one projection. No method commits."""

    def __init__(self, projection: Projection) -> None:
        self._name = projection.name
        self._version = projection.version
        self._here = (checkpoints.c.name == self._name) & (checkpoints.c.version == self._version)

    def begin(self, connection: Connection) -> int:
        """Make the row if there is none, forget an earlier failure, and give the position."""
        start = insert(checkpoints).values(
            name=self._name, version=self._version, position=0, rate=0.0, updated_at=func.now()
        )
        forgetting = start.on_conflict_do_update(
            index_elements=[checkpoints.c.name, checkpoints.c.version],
            set_={"reason": None, "failed_position": None},
        )
        position: int = connection.execute(forgetting.returning(checkpoints.c.position)).scalar_one()
        return position

    def advance(self, connection: Connection, before: int, after: int, rate: float) -> None:
        """Move from ``before`` to ``after``; raises CheckpointMoved when the position is not ``before``."""
        moved = connection.execute(
            checkpoints.update()
            .where(self._here, checkpoints.c.position == before)
            .values(position=after, rate=rate, updated_at=func.now())
        )
        if moved.rowcount != 1:
            raise CheckpointMoved(f"The projection {self._name} v{self._version} is no longer at position {before}.")

    def fail(self, connection: Connection, reason: str, position: int | None) -> None:
        """Say why the projection stands still, and at which event."""
        connection.execute(
            checkpoints.update()
            .where(self._here)
            .values(reason=reason, failed_position=position, updated_at=func.now())
        )

    def failed(self, connection: Connection) -> bool:
        """Whether the failure stands; ``retry`` takes it away."""
        return connection.execute(select(checkpoints.c.reason.is_not(None)).where(self._here)).scalar_one()
