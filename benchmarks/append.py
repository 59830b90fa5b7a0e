"""How many appends a second: the library's recorder against the group commit, in the same run.

Each append stores two events of about 400 bytes in a stream of its own, durably (fsync on). Threads call
``insert_events`` of either recorder; tasks await ``append`` on one event loop, as the service does.

Run: ``python benchmarks/append.py`` (about 30 seconds; starts a PostgreSQL of its own, and removes it).
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

import figures
from send2llm.infrastructure.event_store.group_commit import Append, GroupCommitRecorder
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.postgres import TestDatabaseServer

WRITERS = (1, 8, 64)
EVENTS_AN_APPEND = 2
PAYLOAD = b"x" * 350


def new_events() -> list[StoredEvent]:
    stream = str(uuid4())
    return [
        StoredEvent(stream, version, "conversation.message_added", uuid4().hex.encode() + PAYLOAD)
        for version in range(1, EVENTS_AN_APPEND + 1)
    ]


def by_threads(insert: Callable[[Sequence[StoredEvent]], object], writers: int, seconds: float) -> list[float]:
    """The time of each append, in seconds."""
    end = time.perf_counter() + seconds

    def write() -> list[float]:
        times = []
        while (began := time.perf_counter()) < end:
            insert(new_events())
            times.append(time.perf_counter() - began)
        return times

    with ThreadPoolExecutor(writers) as pool:
        return [each for future in [pool.submit(write) for _ in range(writers)] for each in future.result()]


def by_tasks(recorder: GroupCommitRecorder, writers: int, seconds: float) -> list[float]:
    """As ``by_threads``, on one event loop."""

    async def write(end: float) -> list[float]:
        times = []
        while (began := time.perf_counter()) < end:
            await recorder.append(Append(new_events()))
            times.append(time.perf_counter() - began)
        return times

    async def write_all() -> list[float]:
        end = time.perf_counter() + seconds
        return [each for times in await asyncio.gather(*(write(end) for _ in range(writers))) for each in times]

    return asyncio.run(write_all())


def datastore(database: ConnectionInfo, pool_size: int) -> PostgresDatastore:
    return PostgresDatastore(
        database.dbname,
        database.host,
        database.port,
        database.user,
        database.password,
        originator_id_type="text",
        pool_size=pool_size,
    )


def measure(server: TestDatabaseServer, writers: int, seconds: float) -> list[tuple[str, list[float], float]]:
    """Name, times of appends, and CPU seconds of this process, for each way to append."""
    rows = []

    def row(name: str, run: Callable[[], list[float]]) -> None:
        cpu = time.process_time()
        times = run()
        rows.append((name, times, time.process_time() - cpu))

    with datastore(server.create_database(), writers) as library_store:
        library = PostgresApplicationRecorder(library_store)
        library.create_table()
        row("library, threads", lambda: by_threads(library.insert_events, writers, seconds))
    with datastore(server.create_database(), 1) as our_store:
        ours = GroupCommitRecorder(our_store)
        ours.create_table()
        row("group commit, threads", lambda: by_threads(ours.insert_events, writers, seconds))
        row("group commit, one event loop", lambda: by_tasks(ours, writers, seconds))
        ours.close()
    return rows


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("--seconds", type=float, default=2.5, help="for each row of the table")
    given = options.parse_args()
    seconds = given.seconds
    rows: list[figures.Row] = []
    folder = Path(tempfile.gettempdir()) / f"send2llm-benchmark-{os.getpid()}"
    try:
        with TestDatabaseServer(folder, durable=True) as server:
            for writers in WRITERS:
                found = measure(server, writers, seconds)
                for name, times, cpu in found:
                    times.sort()
                    rows.append(
                        {
                            "writers": writers,
                            "recorder": name,
                            "appends_per_s": len(times) / seconds,
                            "p50_ms": times[len(times) // 2] * 1e3,
                            "p99_ms": times[int(len(times) * 0.99)] * 1e3,
                            "cpu_us_an_append": cpu / len(times) * 1e6,
                            "times_library": len(times) / len(found[0][1]),
                        }
                    )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures.tell(f"Appends of {EVENTS_AN_APPEND} events", rows, given.figures)


if __name__ == "__main__":
    main()
