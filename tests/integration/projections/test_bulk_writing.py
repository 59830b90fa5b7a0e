"""Many rows in a statement or two."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    create_engine,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.projections import add_rows, copy_rows, replace_rows

metadata = MetaData()
prices = Table(
    "prices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("day", BigInteger, primary_key=True),
    Column("name", Text),
    Column("facts", JSONB),
    Column("usd", Numeric),
)
days = Table("days", metadata, Column("day", BigInteger, primary_key=True))

sums = Table(
    "sums",
    metadata,
    Column("begin", DateTime(timezone=True), primary_key=True),
    Column("who", Uuid, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("times", BigInteger, nullable=False),
    Column("usd", Numeric, nullable=False),
    Column("longest", BigInteger, nullable=False),
)


@pytest.fixture
def connection(database: ConnectionInfo) -> Iterator[Connection]:
    engine = create_engine(database.sqlalchemy_url)
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield connection
    engine.dispose()


def _row(number: int, **changed: object) -> dict[str, object]:
    return {
        "id": UUID(int=number % 3),
        "day": number,
        "name": f"tab \t, newline \n, backslash \\ {number}",
        "facts": {"n": [number, None]},
        "usd": Decimal("0.000000000001") * number,
        **changed,
    }


def _stored(connection: Connection) -> list[dict[str, object]]:
    return [dict(row) for row in connection.execute(select(prices).order_by(prices.c.day)).mappings()]


def test_copied_rows_come_back_as_they_were(connection: Connection) -> None:
    rows = [_row(number) for number in range(100)]
    rows[7] = _row(7, name=None, facts=None, usd=None)
    copy_rows(connection, prices, rows)
    assert _stored(connection) == rows


def test_replaced_rows_are_those_with_the_same_key(connection: Connection) -> None:
    copy_rows(connection, prices, [_row(number) for number in range(10)])
    replace_rows(connection, prices, [_row(3, name="new"), _row(8, usd=Decimal(8))])
    stored = _stored(connection)
    assert len(stored) == 10
    assert stored[3]["name"] == "new"
    assert stored[8]["usd"] == 8
    assert stored[4] == _row(4)


def test_more_rows_than_a_statement_has_parameters(connection: Connection) -> None:
    rows = [{"day": number} for number in range(70_000)]
    copy_rows(connection, days, rows)
    replace_rows(connection, days, rows)
    assert len(connection.execute(select(days)).all()) == len(rows)


def _sum(name: str, times: int, usd: Decimal | int, longest: int) -> dict[str, object]:
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    return {"begin": noon, "who": UUID(int=1), "name": name, "times": times, "usd": usd, "longest": longest}


def test_added_rows_are_summed_or_new(connection: Connection) -> None:
    exact = Decimal("0.000000000001")
    add_rows(connection, sums, [_sum("a", 2**40, 0, 7), _sum("b\x00", 1, exact, 7)], frozenset({"longest"}))
    add_rows(connection, sums, [_sum("a", -1, exact, 9), _sum("c", 1, exact, 1)], frozenset({"longest"}))
    add_rows(connection, sums, [_sum("a", 0, 10**9, 3)], frozenset({"longest"}))
    stored = [dict(row) for row in connection.execute(select(sums).order_by(sums.c.name)).mappings()]
    assert stored == [
        _sum("a", 2**40 - 1, 10**9 + exact, 9),
        _sum("b\ufffd", 1, exact, 7),
        _sum("c", 1, exact, 1),
    ]


def test_keys_that_are_the_same_when_stored_are_added_together(connection: Connection) -> None:
    exact, name = Decimal("0.000000000001"), "b\ufffd"
    rows = [_sum("b\x00", 1, exact, 7), _sum("a", 1, 1, 1), _sum("b\ud800", 2, 3, 9), _sum(name, 4, 0, 8)]
    add_rows(connection, sums, rows, frozenset({"longest"}))
    add_rows(connection, sums, [_sum("b\udfff", 8, 0, 1)], frozenset({"longest"}))
    stored = [dict(row) for row in connection.execute(select(sums).order_by(sums.c.name)).mappings()]
    assert stored == [_sum("a", 1, 1, 1), _sum(name, 15, 3 + exact, 9)]


def test_rows_are_replaced_whatever_their_keys_hold(connection: Connection) -> None:
    rows = [_sum("a\x00b", 1, 1, 1), _sum("half \ud800", 1, 1, 1), _sum("c", 1, 1, 1)]
    copy_rows(connection, sums, rows)
    replace_rows(connection, sums, [{**row, "times": 2} for row in rows[:2]])
    stored = [dict(row) for row in connection.execute(select(sums).order_by(sums.c.name)).mappings()]
    assert stored == [_sum("a\ufffdb", 2, 1, 1), _sum("c", 1, 1, 1), _sum("half \ufffd", 2, 1, 1)]


def test_more_added_rows_than_a_statement_has_parameters(connection: Connection) -> None:
    for _ in range(2):
        add_rows(connection, sums, [_sum(str(number), number, number, 0) for number in range(70_000)])
    (total,) = connection.execute(select(func.sum(sums.c.times))).one()
    assert total == 2 * sum(range(70_000))


def test_nothing_is_nothing(connection: Connection) -> None:
    copy_rows(connection, prices, [])
    replace_rows(connection, prices, [])
    add_rows(connection, sums, [])
    assert _stored(connection) == []


def test_a_row_that_lacks_a_column_is_refused(connection: Connection) -> None:
    with pytest.raises(KeyError, match="facts"):
        copy_rows(connection, prices, [{"id": UUID(int=1), "day": 1, "name": "x", "usd": None}])
