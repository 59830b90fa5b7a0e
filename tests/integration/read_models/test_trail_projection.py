"""The trail: the same rows wherever batches are cut, and the end of what was lent with whose money it was."""

from uuid import UUID

import pytest
from sqlalchemy import create_engine, select

from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.trail import TrailProjection
from send2llm.infrastructure.read_models.trail_tables import events, metadata
from send2llm.testing.budget_stories import BUDGET, granted, hold, lapsed, opened, overrun
from send2llm.testing.money_log import MoneyLog, defined

COMPLETION = UUID(int=77)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_events_of_a_budget(migrated: ConnectionInfo, size: int) -> None:
    log = MoneyLog(
        defined=defined(),
        opened=opened(),
        lent=granted(1, "4"),
        held=hold(),
        closed=AllowanceClosed(reason="lapsed"),
        lapsed=lapsed(1, "1"),
        overrun=overrun(1, "2", f"{COMPLETION}/1"),
    ).recorded()
    engine = create_engine(migrated.sqlalchemy_url)
    with engine.begin() as connection:
        metadata.create_all(connection)
        for start in range(0, len(log), size):
            TrailProjection().fold(log[start : start + size], connection)
        rows = connection.execute(select(events).order_by(events.c.position)).all()
    engine.dispose()
    assert [row.position for row in rows] == [one.position for one in log]
    assert [row.budget_id for row in rows] == [BUDGET] * 7
    (held,) = [one.event for one in log if isinstance(one.event, HoldTaken)]
    assert [row.completion_id for row in rows] == [None] * 3 + [held.completion_id] + [None] * 2 + [COMPLETION]
    assert rows[3].conversation_id == held.conversation_id


def test_every_topic_is_folded() -> None:
    assert "template.version_added" in TrailProjection.topics
