"""The table of seals, and rows of it."""

from collections.abc import Sequence
from dataclasses import asdict, fields

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Uuid,
    func,
    select,
)

from send2llm.domain.log_seals import Seal

metadata = MetaData()

log_seals = Table(
    "log_seals",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("chain", Uuid, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("link", LargeBinary, nullable=False),
    Column("sealed_at", DateTime(timezone=True), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("links", LargeBinary, nullable=False),
)

_COLUMNS = [log_seals.c[field.name] for field in fields(Seal)]


def last_seal(connection: Connection) -> Seal | None:
    """The last seal, ``None`` before the first."""
    row = connection.execute(select(*_COLUMNS).order_by(log_seals.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else Seal(*row)


def all_seals(connection: Connection) -> Sequence[Seal]:
    """All seals in their order."""
    return seals_after(connection, 0)


def seals_after(connection: Connection, number: int) -> Sequence[Seal]:
    """The seals after that of a number, in their order."""
    wanted = select(*_COLUMNS).where(log_seals.c.number > number).order_by(log_seals.c.number)
    return [Seal(*row) for row in connection.execute(wanted)]


def page_of_seals(
    connection: Connection, after: int, limit: int, *, last: int | None = None, links: bool = False
) -> Sequence[Seal]:
    """As ``seals_after``, at most ``limit``, of the ``last`` so many there are; ``links`` are many bytes."""
    columns = _COLUMNS if links else [column for column in _COLUMNS if column is not log_seals.c.links]
    wanted = select(*columns).where(log_seals.c.number > after).order_by(log_seals.c.number).limit(limit)
    if last is not None:
        wanted = wanted.where(log_seals.c.number > select(func.max(log_seals.c.number)).scalar_subquery() - last)
    return [Seal(*row) for row in connection.execute(wanted)]


def store(connection: Connection, seal: Seal) -> None:
    """Add a seal."""
    connection.execute(log_seals.insert(), asdict(seal))
