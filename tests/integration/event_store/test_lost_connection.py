"""The connection, the server, the process: whichever dies, nothing acknowledged is lost or stored twice."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import psycopg
import pytest
from cutting_proxy import Cut, CuttingProxy
from eventsourcing.persistence import StoredEvent

from send2llm.infrastructure.event_store.errors import AppendQueueFull, EventStoreUnavailable
from send2llm.infrastructure.event_store.group_commit import Append, GroupCommitRecorder
from send2llm.testing.postgres import TestDatabaseServer

NO_WRITERS_LEFT = """NOT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'send2llm event writer'
)"""


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """Not in pytest's own folder, which for root is closed to the account that the server runs as."""
    folder = Path(tempfile.gettempdir()) / f"send2llm-event-store-{os.getpid()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("moment", list(Cut))
def test_a_connection_cut_around_the_commit_stores_once(moment, make_recorder, database, probe, new_events):
    with CuttingProxy(database) as proxy:
        recorder = make_recorder(proxy.connection_info)
        recorder.submit(Append(new_events())).result()

        proxy.cut(moment)
        assert recorder.submit(Append(new_events(2))).result() == [2, 3]
        proxy.cut(moment)
        assert recorder.insert_events(new_events(2)) == [4, 5]

        assert proxy.cuts == 2
        assert probe.ids_after(0) == [1, 2, 3, 4, 5]
        recorder.close()
        recorder.datastore.close()


def test_a_writer_terminated_while_it_waits_stores_once(recorder, probe, new_events):
    with probe.table_lock():
        futures = [recorder.submit(Append(new_events())) for _ in range(10)]
        probe.wait_for_queue()
        [(terminated,)] = probe.rows("SELECT pid FROM pg_locks WHERE NOT granted")
        probe.rows("SELECT pg_terminate_backend(%s)", terminated)
        probe.wait_until("EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid <> %s)", terminated)

    assert sorted(id_ for future in futures for id_ in future.result()) == list(range(1, 11))


def test_an_outcome_that_stays_unknown_is_said_to_be(make_recorder, database, new_events):
    with CuttingProxy(database) as proxy:
        recorder = make_recorder(proxy.connection_info, retry_for=0)
        recorder.submit(Append(new_events())).result()
        append = Append(new_events(2))

        proxy.cut(Cut.BEFORE_ANSWER)
        with pytest.raises(EventStoreUnavailable, match="may have been stored") as unavailable:
            recorder.submit(append).result()

        assert unavailable.value.outcome_unknown
        assert recorder.submit(append).result() == [2, 3], "repeating it finds it stored"
        recorder.close()
        recorder.datastore.close()


def test_a_stopped_server_fails_appends_in_time_and_a_started_one_takes_them(server_folder, make_recorder, new_events):
    with TestDatabaseServer(server_folder) as server:
        database = server.create_database()
        recorder = make_recorder(database, retry_for=0.2, max_waiting_appends=3)
        patient = make_recorder(database, retry_for=30)
        first = recorder.submit(Append(new_events())).result()
        patient.submit(Append(new_events())).result()
        recorder.datastore.close()
        patient.datastore.close()

        server.stop()
        accepted = _submit_until_full(recorder, new_events)
        kept = patient.submit(Append(new_events()))
        errors = [future.exception(timeout=20) for future in accepted]
        server.start()
        stored_after = recorder.submit(Append(new_events())).result()

        assert all(isinstance(error, EventStoreUnavailable) for error in errors)
        assert first == [1]
        assert sorted([*kept.result(), *stored_after]) == [3, 4]
        patient.close()
        recorder.close()


def test_a_killed_server_keeps_what_was_acknowledged_and_stores_the_rest_once(server_folder, make_recorder, new_events):
    with TestDatabaseServer(server_folder, durable=True) as server:
        database = server.create_database()
        recorder = make_recorder(database, retry_for=20, max_batch_events=5)
        futures = [recorder.submit(Append(new_events(2))) for _ in range(300)]
        futures[0].result()
        postmaster = int((server_folder / "postgres" / "postmaster.pid").read_text().split()[0])
        recorder.datastore.close()
        os.kill(postmaster, signal.SIGKILL)

        with TestDatabaseServer(server_folder, durable=True):
            ids = [id_ for future in futures for id_ in future.result()]
            with psycopg.connect(database.dsn) as connection:
                stored = connection.execute("SELECT notification_id FROM stored_events ORDER BY 1").fetchall()
            recorder.close()

        assert ids == sorted(set(ids))
        assert [row[0] for row in stored] == ids


def test_two_processes_killed_while_they_write_leave_all_they_acknowledged(database, recorder, probe):
    processes = [_start(database.dsn, "for-ever", 16) for _ in range(2)]
    acknowledged: list[str] = []
    for process in processes:
        assert process.stdout is not None
        acknowledged += [process.stdout.readline().strip() for _ in range(100)]
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        rest, _ = process.communicate()
        acknowledged += rest.splitlines() if rest.endswith("\n") else rest.splitlines()[:-1]

    probe.wait_until(NO_WRITERS_LEFT)
    ids = probe.ids_after(0)
    events = Counter(row[0] for row in probe.rows("SELECT originator_id FROM stored_events"))
    assert set(acknowledged) <= events.keys()
    assert set(events.values()) == {3}, "no append is stored in part"
    assert ids == list(range(1, len(ids) + 1))


def test_a_program_that_ends_without_closing_loses_nothing(database, recorder, probe):
    process = _start(database.dsn, "leave", 500)
    accepted, _ = process.communicate()

    assert process.returncode == 0
    assert {row[0] for row in probe.rows("SELECT originator_id FROM stored_events")} == set(accepted.split())
    assert len(probe.ids_after(0)) == 1500


def _start(dsn: str, *arguments: object) -> "subprocess.Popen[str]":
    script = Path(__file__).with_name("appending_process.py")
    return subprocess.Popen([sys.executable, str(script), dsn, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def _submit_until_full(
    recorder: GroupCommitRecorder, new_events: Callable[..., Sequence[StoredEvent]]
) -> list[Future[Sequence[int]]]:
    accepted = []
    try:
        while True:
            accepted.append(recorder.submit(Append(new_events())))
    except AppendQueueFull:
        return accepted
