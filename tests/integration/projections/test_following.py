"""A projection follows the log: all of it, once, soon."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import psycopg
from sqlalchemy import Connection
from stage import Stage
from tally_projection import Tally

from send2llm.domain.conversation_events import ConversationClosed, ConversationStarted
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.page_size import FIRST
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.infrastructure.projections.timing import Timing
from send2llm.projections import RecordedEvent
from send2llm.testing.event_writer import EventWriter, said
from send2llm.testing.eventually import eventually

UNHURRIED = Timing(poll=30.0, shortest_backoff=0.02, longest_backoff=0.1)
"""Far longer than a test: what comes sooner was not found by looking for it."""


def test_what_was_there_and_what_comes_is_counted_once(stage: Stage) -> None:
    stage.say(*["before"] * 35)
    with stage.project(Tally()):
        eventually(stage.caught_up)
        stage.say(*["after"] * 25)
        eventually(stage.caught_up)
    stage.assert_tally_is_exact()
    assert stage.rows("SELECT text, count FROM tally_v1_counts ORDER BY text") == [("after", 25), ("before", 35)]


def test_a_build_begins_with_small_pages_so_that_a_slow_fold_can_be_seen_to_move(stage: Stage) -> None:
    class Watched(Tally):
        sizes: ClassVar[list[int]] = []

        def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
            self.sizes.append(len(events))
            super().fold(events, connection)

    stage.say(*["before"] * 100)
    with stage.project(Watched(), timing=UNHURRIED):
        eventually(stage.caught_up)
    assert Watched.sizes[0] == FIRST
    assert sum(Watched.sizes) == 100
    stage.assert_tally_is_exact()


def test_the_position_moves_over_events_that_are_not_folded(stage: Stage, writer: EventWriter) -> None:
    conversation_id = uuid4()
    writer.write(conversation_id, ConversationStarted(), said("hello"), ConversationClosed())
    with stage.project(Tally()):
        eventually(stage.caught_up)
    stage.assert_tally_is_exact()


async def test_status_tells_position_lag_and_who_is_at_work(stage: Stage, statuses: PostgresProjections) -> None:
    stage.say("one", "two")
    with stage.project(Tally()):
        eventually(stage.caught_up)
        (status,) = await statuses.all()
        assert (status.name, status.version, status.state) == ("tally", 1, "running")
        assert (status.position, status.head, status.lag_events, status.lag_seconds) == (2, 2, 0, 0.0)
        assert status.rate > 0
    stage.say("three")
    (status,) = await statuses.all()
    assert (status.state, status.position, status.head, status.lag_events) == ("waiting", 2, 3, 1)
    assert status.lag_seconds is not None
    assert 0 < status.lag_seconds < 60


def test_a_commit_wakes_the_runner(stage: Stage) -> None:
    stage.say("the first")
    with stage.project(Tally(), timing=UNHURRIED):
        eventually(stage.caught_up)
        for text in ("one", "two", "three"):
            stage.say(text)
            eventually(stage.caught_up, UNHURRIED.poll / 3)


def test_a_lost_listener_is_replaced(stage: Stage) -> None:
    listener = "send2llm projections listener"
    stage.say("the first")
    with stage.project(Tally(), timing=UNHURRIED):
        eventually(stage.caught_up)
        (old,) = eventually(lambda: stage.backends(listener))
        stage.end(old)
        eventually(lambda: [pid for pid in stage.backends(listener) if pid != old])
        stage.say("while or after it was away")
        eventually(stage.caught_up, UNHURRIED.poll / 3)


def test_without_any_wake_up_the_runner_looks_for_itself(stage: Stage, writer: EventWriter) -> None:
    with stage.project(Tally()):
        eventually(lambda: stage.position() == 0)
        (row,) = writer.prepare(uuid4(), said("stored without a notification"))
        stage.rows(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " VALUES (%s, %s, %s, %s) RETURNING 1",
            row.originator_id,
            row.originator_version,
            row.topic,
            row.state,
        )
        eventually(stage.caught_up)
    stage.assert_tally_is_exact()


def test_a_killed_runner_neither_loses_nor_repeats_a_batch(
    stage: Stage, migrated: ConnectionInfo, tmp_path: Path
) -> None:
    stage.say(*["word"] * 60)
    script = Path(__file__).with_name("runner_to_kill.py")
    # Each run is killed in the middle of a later batch: rows written, nothing committed.
    for number, position in enumerate((3, 24, 59, 0)):
        sign = tmp_path / f"waiting-{number}"
        process = subprocess.Popen(
            [sys.executable, str(script), migrated.dsn, str(position), str(sign)], stdout=subprocess.DEVNULL
        )
        try:
            eventually(sign.exists if position else stage.caught_up)
            assert stage.caught_up() == (position == 0)
        finally:
            process.kill()
            process.wait()
    stage.assert_tally_is_exact()


def test_a_runner_that_is_killed_between_rows_and_position_leaves_neither(
    stage: Stage, migrated: ConnectionInfo, tmp_path: Path
) -> None:
    """It has written the rows of a batch and moves its position, when it is killed; the next one does both again."""
    stage.execute("""
        CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END';
        CREATE TRIGGER hold_up BEFORE UPDATE OF position ON projection_checkpoints
            FOR EACH ROW EXECUTE FUNCTION hold_up();
    """)
    stage.say(*["word"] * 20)
    command = [sys.executable, str(Path(__file__).with_name("runner_to_kill.py")), migrated.dsn, "0", str(tmp_path)]
    for kills in (True, True, False):
        if kills:
            stage.execute("SELECT pg_advisory_lock(1)")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            eventually(lambda: stage.somebody_waits("advisory")) if kills else eventually(stage.caught_up)
        finally:
            process.kill()
            process.wait()
        if kills:
            stage.end(*stage.runners())
            stage.execute("SELECT pg_advisory_unlock(1)")
            assert stage.value("SELECT count(*) FROM tally_v1_seen") == stage.position() == 0
    stage.assert_tally_is_exact()


def test_an_event_that_commits_late_is_never_passed(stage: Stage, migrated: ConnectionInfo) -> None:
    """One insert is held up after it took its position; another writer comes, and the runner keeps looking."""
    stage.execute("""
        CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
        CREATE TRIGGER hold_up AFTER INSERT ON stored_events
            FOR EACH ROW WHEN (NEW.originator_version = 1) EXECUTE FUNCTION hold_up();
    """)
    stage.execute("SELECT pg_advisory_lock(1)")
    with EventWriter(migrated) as slow, EventWriter(migrated) as fast, stage.project(Tally()):
        eventually(lambda: stage.position() == 0)
        held_up = threading.Thread(target=slow.write, args=(uuid4(), said("held up")))
        held_up.start()
        eventually(lambda: stage.somebody_waits("advisory"))
        conversation_id = uuid4()
        fast.prepare(conversation_id, said("never stored: the next has version 2"))
        overtaking = threading.Thread(target=fast.write, args=(conversation_id, said("overtaking")))
        overtaking.start()
        eventually(lambda: stage.somebody_waits("relation"))
        stage.execute("SELECT pg_advisory_unlock(1)")
        held_up.join()
        overtaking.join()
        eventually(stage.caught_up)
    assert stage.value("SELECT count(*) FROM stored_events") == 2
    stage.assert_tally_is_exact()


def test_stopping_leaves_no_connection(stage: Stage) -> None:
    stage.say("one")
    with stage.project(Tally()):
        eventually(stage.caught_up)
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ 'projection'"
    )
    eventually(lambda: stage.value(others) == 0)


def test_a_checkpoint_moved_by_somebody_else_is_followed(stage: Stage, migrated: ConnectionInfo) -> None:
    """However it came about, rows and position stay one: the batch on the wrong footing is given up."""
    with stage.counting(*["word"] * 20):
        with psycopg.connect(migrated.dsn) as other:
            other.execute("UPDATE projection_checkpoints SET position = 10")
            other.execute("DELETE FROM tally_v1_seen WHERE position > 10")
            other.execute("UPDATE tally_v1_counts SET count = 10")
        stage.say("one more")
        eventually(stage.caught_up)
    stage.assert_tally_is_exact()
