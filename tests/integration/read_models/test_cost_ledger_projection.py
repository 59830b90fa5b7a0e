"""The cost ledger, folded by the runner: the same whatever way it came about, to the last cent that was spent."""

from decimal import Decimal
from random import Random

import psycopg
import pytest
from growing import Calls, begin_anew, follow

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.cost_ledger_tables import attempts, uses
from send2llm.testing.event_writer import EventWriter


@pytest.mark.parametrize("page_size", [1, 13, 1000])
def test_a_rebuild_from_zero_equals_what_grew_live(
    migrated: ConnectionInfo, writer: EventWriter, page_size: int
) -> None:
    calls = Calls(writer, Random(page_size))
    grown = follow(migrated, [CostLedgerProjection()], writer, 1000, calls.live)
    assert all(grown.values())
    begin_anew(migrated, [CostLedgerProjection()])
    assert follow(migrated, [CostLedgerProjection()], writer, page_size) == grown

    with psycopg.connect(migrated.dsn) as connection:
        (spent,) = connection.execute(f"SELECT sum(cost_usd) FROM {attempts}".encode()).fetchone() or (None,)
        by_budget = dict(
            connection.execute(f"SELECT budget_id, sum(spent_usd) FROM {uses} GROUP BY 1".encode()).fetchall()
        )
        (held,) = connection.execute(f"SELECT sum(held_usd) FROM {uses}".encode()).fetchone() or (None,)
    assert spent == sum(calls.costs.values(), Decimal(0))
    assert by_budget == calls.spent_by_budget()
    assert held == calls.still_held()
