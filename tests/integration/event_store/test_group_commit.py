"""Many callers, one writer: everyone gets the right answer, and readers see every event in order."""

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise

import psycopg
import pytest
from eventsourcing.persistence import DataError, IntegrityError, NotSupportedError, StoredEvent

from send2llm.infrastructure.event_store.append import StreamKey
from send2llm.infrastructure.event_store.errors import (
    AppendQueueFull,
    EventStoreUnavailable,
    KeyNotStored,
    RecorderClosed,
    VersionConflict,
)
from send2llm.infrastructure.event_store.group_commit import Append, TranscriptHead

ADVISORY_LOCK = 4711


@pytest.fixture
def slow_topic(recorder, probe) -> Iterator[str]:
    """Events of this topic are not stored before the probe lets go of an advisory lock."""
    probe.connection.execute(
        f"""
        CREATE FUNCTION wait_for_the_probe() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared({ADVISORY_LOCK});
            RETURN new;
        END $$;
        CREATE TRIGGER delay BEFORE INSERT ON stored_events FOR EACH ROW
        WHEN (new.topic = 'test.slow') EXECUTE FUNCTION wait_for_the_probe()
        """
    )
    return "test.slow"


WAITS_FOR_THE_PROBE = "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"


def test_ids_of_64_writers_are_contiguous_and_a_follower_sees_each_once(recorder, probe, new_events):
    def write(_: int) -> list[list[int]]:
        return [list(recorder.insert_events(new_events(2))) for _ in range(10)]

    seen: list[int] = []
    with ThreadPoolExecutor(64) as pool:
        writers = [pool.submit(write, number) for number in range(64)]
        while not all(writer.done() for writer in writers):
            seen += probe.ids_after(seen[-1] if seen else 0)
        appends = [ids for writer in writers for ids in writer.result()]
    seen += probe.ids_after(seen[-1])

    assert seen == list(range(1, 64 * 10 * 2 + 1))
    assert sorted(id_ for ids in appends for id_ in ids) == seen
    assert all(second == first + 1 for first, second in appends)


def test_a_follower_never_passes_a_delayed_event(make_recorder, probe, new_events, slow_topic):
    one, other = make_recorder(), make_recorder()
    probe.connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))

    slow = one.submit(Append(new_events(topic=slow_topic)))
    probe.wait_until(WAITS_FOR_THE_PROBE)
    quick = other.submit(Append(new_events()))
    probe.wait_for_queue()
    before = probe.ids_after(0)
    probe.connection.execute("SELECT pg_advisory_unlock(%s)", (ADVISORY_LOCK,))
    ids = [*slow.result(), *quick.result()]

    assert (before, ids, probe.ids_after(0)) == ([], [1, 2], [1, 2])


def test_without_the_lock_the_follower_would_have_passed_it(recorder, database, probe, new_events, slow_topic):
    """The control: what the test above would see if appends took no lock."""
    probe.connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
    insert = "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES (%s, 1, %s, '')"

    with psycopg.connect(database.dsn, autocommit=True) as unlocked, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(unlocked.execute, insert, ("slow", slow_topic))
        probe.wait_until(WAITS_FOR_THE_PROBE)
        probe.connection.execute(insert, ("quick", "test.happened"))
        seen = probe.ids_after(0)
        probe.connection.execute("SELECT pg_advisory_unlock(%s)", (ADVISORY_LOCK,))
        slow.result()

    assert seen == [2]
    assert probe.ids_after(seen[-1]) == []


def test_of_many_that_race_for_a_version_one_wins_and_all_hear_of_it(make_recorder, probe, new_events):
    recorders = [make_recorder(max_batch_events=50), make_recorder(max_batch_events=50)]
    contested = [
        Append(new_events(stream=f"contested-{stream}", version=version))
        for stream in range(3)
        for version in range(1, 11)
        for _ in range(12)
    ]
    uncontested = [Append(new_events(2)) for _ in range(100)]
    appends = contested + uncontested
    random.shuffle(appends)

    futures = {id(append): random.choice(recorders).submit(append) for append in appends}
    wait(futures.values(), timeout=30)

    won = [append for append in appends if futures[id(append)].exception() is None]
    assert len(won) == 3 * 10 + 100
    assert all(append in won for append in uncontested)
    for append in contested:
        if append not in won:
            error = futures[id(append)].exception()
            event = append.events[0]
            assert isinstance(error, VersionConflict)
            assert (error.originator_id, error.originator_version) == (
                event.originator_id,
                event.originator_version,
            )
    stored = {
        (stream, version): bytes(state)
        for stream, version, state in probe.rows("SELECT originator_id, originator_version, state FROM stored_events")
    }
    assert stored == {
        (event.originator_id, event.originator_version): event.state for append in won for event in append.events
    }
    assert probe.ids_after(0) == list(range(1, len(stored) + 1)), "a conflict leaves no gap"


def test_an_append_over_several_streams_is_stored_whole_or_not_at_all(recorder, new_events):
    taken = new_events(2)
    recorder.submit(Append(taken)).result()
    fresh = new_events(2)
    clash = new_events(stream=taken[0].originator_id, version=2)

    with pytest.raises(VersionConflict, match="version 2") as conflict:
        recorder.submit(Append([*fresh, *clash])).result()

    assert isinstance(conflict.value, IntegrityError)
    assert recorder.select_events(fresh[0].originator_id) == []


def test_the_same_append_again_is_already_stored(recorder, probe, new_events):
    append = Append(new_events(3))

    assert recorder.submit(append).result() == [1, 2, 3]
    assert recorder.submit(append).result() == [1, 2, 3]
    assert probe.ids_after(0) == [1, 2, 3]


def test_part_of_an_earlier_append_is_a_conflict(recorder, new_events):
    events = new_events(3)
    recorder.submit(Append(events[:2])).result()

    with pytest.raises(VersionConflict, match="version 1"):
        recorder.submit(Append(events)).result()


def test_only_the_append_that_cannot_be_stored_fails(recorder, probe, new_events):
    unstorable = [
        Append([StoredEvent("nul \0", 1, "t", b"")]),
        Append([StoredEvent("lone surrogate \ud800", 1, "t", b"")]),
        Append([StoredEvent("too large", 2**63, "t", b"")]),
    ]
    twice = new_events()
    with probe.table_lock():
        first = recorder.submit(Append(new_events()))
        probe.wait_for_queue()
        before = recorder.submit(Append(new_events(2)))
        refused = [recorder.submit(append) for append in unstorable]
        doubled = recorder.submit(Append([*twice, *twice]))
        after = recorder.submit(Append(new_events()))

    assert [future.result() for future in (first, before)] == [[1], [2, 3]]
    assert after.result()
    assert all(isinstance(future.exception(), DataError) for future in refused)
    assert isinstance(doubled.exception(), IntegrityError)


@pytest.mark.parametrize("limits", [{"max_waiting_appends": 2}, {"max_waiting_bytes": 700}])
def test_a_full_queue_refuses_at_once(limits, make_recorder, probe, new_events):
    recorder = make_recorder(**limits)
    with probe.table_lock():
        accepted = [recorder.submit(Append(new_events()))]
        probe.wait_for_queue()
        large = [StoredEvent("large", 1, "t", b"x" * 300)]
        accepted += [recorder.submit(Append(new_events())), recorder.submit(Append(large))]
        with pytest.raises(AppendQueueFull, match=r"2 appends of \d+ bytes wait"):
            recorder.submit(Append([StoredEvent("refused", 1, "t", b"x" * 300)]))
        assert recorder.waiting_appends == 2

    assert [future.result() for future in accepted] == [[1], [2], [3]]
    assert recorder.select_events("refused") == []


@pytest.mark.parametrize("limits", [{"max_batch_events": 3}, {"max_batch_bytes": 400}])
def test_a_batch_is_bounded_and_a_larger_append_goes_alone(limits, make_recorder, probe, new_events):
    recorder = make_recorder(**limits)
    sizes = [1, 2, 2, 50, 1, 2, 1]
    with probe.table_lock():
        futures = [recorder.submit(Append(new_events()))]
        probe.wait_for_queue()
        futures += [recorder.submit(Append(new_events(size))) for size in sizes[1:]]

    assert [len(future.result()) for future in futures] == sizes
    transactions = [row[0] for row in probe.rows("SELECT xmin::text FROM stored_events ORDER BY notification_id")]
    together = [len({*group}) for group in (transactions[5:55], transactions[4:6], transactions[54:56])]
    assert together == [1, 2, 2]


def test_heads_follow_the_events_that_are_stored(recorder, probe, new_events):
    first, second = new_events(2), new_events()
    with probe.table_lock():
        held = recorder.submit(Append(new_events()))
        probe.wait_for_queue()
        recorder.submit(Append(first, [TranscriptHead("one", b"1" * 16), TranscriptHead("two", b"2" * 16)]))
        last = recorder.submit(Append(second, [TranscriptHead("one", b"3" * 16)]))
    held.result()
    last.result()
    loser = Append(
        new_events(stream=first[0].originator_id), [TranscriptHead("one", b"x"), TranscriptHead("two", None)]
    )

    def heads() -> list[tuple[str, bytes, int]]:
        return probe.rows("SELECT originator_id, digest, notification_id FROM conversation_heads ORDER BY 1")

    assert heads() == [("one", b"3" * 16, 4), ("two", b"2" * 16, 3)]
    with probe.table_lock():
        recorder.submit(Append(new_events()))
        probe.wait_for_queue()
        refused = recorder.submit(loser)
        recorder.submit(Append(new_events()))
    assert isinstance(refused.exception(), VersionConflict)
    recorder.submit(Append(first, [TranscriptHead("one", b"1" * 16)])).result()
    assert heads() == [("one", b"3" * 16, 4), ("two", b"2" * 16, 3)], "refused or stored before: no change"
    recorder.submit(Append(new_events(), [TranscriptHead("two", None)])).result()
    assert heads() == [("one", b"3" * 16, 4)]


def test_what_is_encrypted_is_stored_only_while_its_key_is(recorder, probe, new_events):
    key = StreamKey("one", b"wrapped")
    recorder.submit(Append(new_events(stream="one"), keys=[key])).result()
    more = Append(new_events(stream="one", version=2), needed_keys=[key])
    assert recorder.submit(more).result() == [2]
    for changed in ("UPDATE conversation_keys SET wrapped = 'anew'", "DELETE FROM conversation_keys"):
        probe.connection.execute(changed)
        with probe.table_lock():
            held = recorder.submit(Append(new_events()))
            probe.wait_for_queue()
            other = recorder.submit(Append(new_events()))
            refused = recorder.submit(Append(new_events(stream="one", version=3), needed_keys=[key]))
            again = recorder.submit(more)
            last = recorder.submit(Append(new_events()))
        assert [len(future.result()) for future in (held, other, last)] == [1, 1, 1]
        assert again.result() == [2], "stored before"
        assert isinstance(refused.exception(), KeyNotStored)
    assert probe.rows("SELECT count(*) FROM stored_events WHERE originator_id = 'one'") == [(2,)]
    assert [later - sooner for sooner, later in pairwise(probe.ids_after(0))] == [1] * 7


def test_somebody_elses_event_is_told_before_a_key_that_is_gone(recorder, new_events):
    recorder.submit(Append(new_events(stream="one"))).result()
    late = Append(new_events(stream="one"), needed_keys=[StreamKey("one", b"wrapped")])
    assert isinstance(recorder.submit(late).exception(), VersionConflict)


def test_each_batch_notifies_once(recorder, database, probe, new_events):
    with psycopg.connect(database.dsn, autocommit=True) as listener:
        listener.execute(f"LISTEN {recorder.channel_name}")
        with probe.table_lock():
            first = recorder.submit(Append(new_events()))
            probe.wait_for_queue()
            rest = [recorder.submit(Append(new_events())) for _ in range(20)]
        wait([first, *rest], return_when=FIRST_EXCEPTION)

        assert len(list(listener.notifies(timeout=5, stop_after=2))) == 2
        assert list(listener.notifies(timeout=0.05)) == []


def test_a_table_lock_that_is_never_released_is_named(make_recorder, probe, new_events):
    recorder = make_recorder(lock_timeout=0.05, retry_for=0.1)
    with (
        probe.table_lock(),
        pytest.raises(EventStoreUnavailable, match="another session holds a lock") as unavailable,
    ):
        recorder.submit(Append(new_events())).result()

    assert not unavailable.value.outcome_unknown
    assert recorder.submit(Append(new_events())).result() == [1]


def test_close_stores_what_was_accepted_and_takes_no_more(recorder, probe, new_events):
    futures = [recorder.submit(Append(new_events())) for _ in range(200)]
    recorder.close()

    assert all(future.done() for future in futures)
    assert len(probe.ids_after(0)) == 200
    with pytest.raises(RecorderClosed):
        recorder.submit(Append(new_events()))


def test_what_a_group_commit_cannot_store_is_refused(recorder, new_events):
    with pytest.raises(NotSupportedError, match="tracking"):
        recorder.insert_events(new_events(), tracking=None)
    with pytest.raises(ValueError, match="at least one event"):
        Append([])
    assert recorder.insert_events([]) == []


async def test_tasks_append_concurrently_and_each_gets_its_ids(recorder, new_events):
    results = await asyncio.gather(*(recorder.append(Append(new_events(2))) for _ in range(300)))

    assert [id_ for ids in results for id_ in ids] == list(range(1, 601))
    assert all(second == first + 1 for first, second in results)
    assert all(earlier < later for earlier, later in pairwise(results))


async def test_a_batch_wakes_the_event_loop_once(recorder, probe, new_events, monkeypatch):
    loop = asyncio.get_running_loop()
    wake_ups = []
    wake = loop.call_soon_threadsafe
    monkeypatch.setattr(
        loop, "call_soon_threadsafe", lambda *arguments: (wake_ups.append(arguments), wake(*arguments))[1]
    )
    with probe.table_lock():
        first = recorder.append(Append(new_events()))
        probe.wait_for_queue()
        rest = [recorder.append(Append(new_events())) for _ in range(50)]
    await asyncio.gather(first, *rest)

    assert len(wake_ups) == 2


async def test_an_append_outlives_the_task_that_waited_for_it(recorder, probe, new_events):
    sent, queued = new_events(2), new_events(2)

    async def append(events):
        return await recorder.append(Append(events))

    with probe.table_lock():
        tasks = [asyncio.create_task(append(sent))]
        await asyncio.sleep(0)  # lets the task run to its first wait
        probe.wait_for_queue()
        tasks.append(asyncio.create_task(append(queued)))
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    following = await recorder.append(Append(new_events()))

    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert recorder.select_events(sent[0].originator_id) == sent
    assert recorder.select_events(queued[0].originator_id) == queued
    assert following == [5]


async def test_conflicts_and_full_queues_reach_the_task(make_recorder, probe, new_events):
    recorder = make_recorder(max_waiting_appends=1)
    events = new_events()
    await recorder.append(Append(events))

    with pytest.raises(VersionConflict):
        await recorder.append(Append(new_events(stream=events[0].originator_id)))
    with probe.table_lock():
        taken = recorder.append(Append(new_events()))
        probe.wait_for_queue()
        waiting = recorder.append(Append(new_events()))
        with pytest.raises(AppendQueueFull):
            recorder.append(Append(new_events()))
    assert [await taken, await waiting] == [[2], [3]]


def test_an_event_loop_that_is_gone_stops_nobody(recorder, probe, new_events):
    async def leave() -> None:
        recorder.append(Append(events))
        probe.wait_for_queue()

    events = new_events()
    with probe.table_lock():
        asyncio.run(leave())

    assert recorder.submit(Append(new_events())).result() == [2]
    assert recorder.select_events(events[0].originator_id) == events
