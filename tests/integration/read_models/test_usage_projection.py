"""The usage, folded by the runner: the same whatever way it came about, and it agrees with the cost ledger."""

from random import Random

import psycopg
import pytest
from growing import Calls, begin_anew, follow

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.testing.event_writer import EventWriter

KEY = "provider, model, tenant, actor"


@pytest.mark.parametrize("page_size", [1, 13, 1000])
def test_a_rebuild_from_zero_equals_what_grew_live(
    migrated: ConnectionInfo, writer: EventWriter, page_size: int
) -> None:
    projections = [CostLedgerProjection(), UsageProjection()]
    grown = follow(migrated, projections, writer, 1000, Calls(writer, Random(page_size)).live)
    assert all(grown.values())
    begin_anew(migrated, projections)
    assert follow(migrated, projections, writer, page_size) == grown

    with psycopg.connect(migrated.dsn) as connection:
        usage = connection.execute(
            f"SELECT quarter, {KEY}, attempts, input_tokens, output_tokens, cost_usd, assumed_usd"
            " FROM usage_quarters WHERE attempts > 0 ORDER BY quarter".encode()
        ).fetchall()
        ledger = connection.execute(
            f"SELECT date_bin('15 minutes', requested_at, 'epoch') AS quarter, {KEY}, count(*),"
            " coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cost_usd), 0),"
            " coalesce(sum(cost_usd) FILTER (WHERE assumed IS NOT NULL), 0)"
            f" FROM cost_ledger_attempts GROUP BY 1, {KEY} ORDER BY 1".encode()
        ).fetchall()
        ends = connection.execute(
            "SELECT sum(calls) - sum(answered + failed + interrupted),"
            " (SELECT count(*) FROM usage_calls WHERE cost_usd IS NULL), sum(answered),"
            " (SELECT sum(times) FROM usage_durations WHERE measure = 'duration') FROM usage_quarters"
        ).fetchone()
    assert usage == ledger
    assert ends is not None
    open_calls, known, answered, counted = ends
    assert open_calls == known
    assert answered == counted
