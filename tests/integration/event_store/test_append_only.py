"""The event table takes new rows and nothing else."""

import psycopg
import pytest

from send2llm.infrastructure.event_store.group_commit import Append


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET state = 'changed'",
        "UPDATE stored_events SET state = 'changed' WHERE false",
        "DELETE FROM stored_events",
        "TRUNCATE stored_events",
        """INSERT INTO stored_events SELECT * FROM stored_events
        ON CONFLICT (originator_id, originator_version) DO UPDATE SET state = 'changed'""",
    ],
)
def test_stored_events_cannot_be_changed(statement, recorder, probe, new_events):
    events = new_events(2)
    recorder.submit(Append(events)).result()

    with pytest.raises(psycopg.errors.RestrictViolation, match="stored events are never changed") as refusal:
        probe.rows(statement)

    assert "Append an event that corrects" in (refusal.value.diag.message_hint or "")
    assert recorder.select_events(events[0].originator_id) == events


def test_heads_may_change_because_they_are_an_index_not_a_record(recorder, probe, new_events):
    recorder.submit(Append(new_events())).result()

    probe.connection.execute("DELETE FROM conversation_heads")


@pytest.mark.parametrize("position", [0, -5, -(2**63)])
def test_nothing_is_stored_before_the_first_position(position, recorder, probe):
    """Whoever reads its stream would be served it, and nobody who follows the log."""
    with pytest.raises(psycopg.errors.CheckViolation):
        probe.connection.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state, notification_id)"
            " VALUES ('conversation-1', 1, 'conversation.message_added', '{}', %s)",
            (position,),
        )
