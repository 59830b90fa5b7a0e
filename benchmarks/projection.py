"""Projections: how fast the history is rebuilt, and how soon a commit shows in it.

``python benchmarks/projection.py [calls]`` needs nothing and takes half a minute: it starts the embedded PostgreSQL
on a folder of its own, with its durable settings, and the projector in a process of its own. Each call is three or
four events with texts of about 400 characters; half of the conversations have two turns. The history is rebuilt from a
log with encrypted texts, as usual, and from one with texts in plain.
"""

import multiprocessing
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg

import figures
from send2llm.application.projections import Projection
from send2llm.domain.conversation_events import ConversationStarted
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.key_files import KEY_BYTES
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.event_writer import EventWriter, turn
from send2llm.testing.postgres import TestDatabaseServer

CALLS = 20_000
COMMITS = 60
MASTER_KEY = b"k" * KEY_BYTES
TEXT = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all. " * 5


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("calls", nargs="?", type=int, default=CALLS)
    given = options.parse_args()
    calls = given.calls
    folder = Path(tempfile.mkdtemp(prefix="send2llm-bench-"))
    folder.chmod(0o755)
    try:
        with TestDatabaseServer(folder, durable=True) as server:
            measure(server.create_database(), None, calls, given.figures)
            measure(server.create_database(), MASTER_KEY, calls, given.figures)
    finally:
        shutil.rmtree(folder)


def measure(database: ConnectionInfo, master_key: bytes | None, calls: int, file: Path | None) -> None:
    """On a log of its own: in plain without a key."""
    migrate(database)
    texts = "in plain" if master_key is None else "encrypted"
    with (
        EventWriter(database, keys_of(master_key)) as writer,
        psycopg.connect(database.dsn, autocommit=True) as connection,
    ):
        events = fill(writer, calls)
        rebuilt = rebuild(database, connection, events, HistoryProjection, master_key)
        figures.tell(f"Rebuild of the history, texts {texts}", [rebuilt], file)
        visible = [latency(database, connection, writer, pause, master_key) for pause in (0.15, 0.0)]
        figures.tell(f"From commit to history, texts {texts}", visible, file)


def keys_of(master_key: bytes | None) -> TextKeys | None:
    return None if master_key is None else TextKeys([master_key])


def fill(writer: EventWriter, calls: int) -> int:
    """Store the events of ``calls`` calls; gives their number."""
    rows = []
    began = time.perf_counter()
    for number in range(calls):
        if number % 3 != 2:
            conversation_id = uuid4()
            rows += writer.prepare(conversation_id, ConversationStarted(labels={"team": f"team {number % 7}"}))
        rows += writer.prepare(conversation_id, *turn(f"{number}: {TEXT}", TEXT))
    for start in range(0, len(rows), 1000):
        writer.store(rows[start : start + 1000])
    print(f"stored {len(rows):,} events in {time.perf_counter() - began:.1f} s")
    return len(rows)


def rebuild(
    database: ConnectionInfo,
    connection: psycopg.Connection,
    events: int,
    kind: type[Projection],
    master_key: bytes | None = None,
) -> figures.Row:
    """Fold all of them into empty tables; timed from the first page to the last, without the start of Python."""
    with projecting(database, kind, master_key) as process:
        while not (first := position(connection, kind.name)):
            time.sleep(0.001)
        began, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
        while position(connection, kind.name) < events:
            time.sleep(0.02)
        seconds, busy = time.perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
    done = events - first
    return {
        "events": done,
        "seconds": seconds,
        "events_per_s": done / seconds,
        "us_an_event": seconds / done * 1e6,
        "projector_cpu_us_an_event": busy / done * 1e6,
    }


def latency(
    database: ConnectionInfo,
    connection: psycopg.Connection,
    writer: EventWriter,
    pause: float,
    master_key: bytes | None,
) -> figures.Row:
    """From the return of a commit to the moment when a reader sees it; ``pause`` seconds from one to the next."""
    waited = []
    with projecting(database, HistoryProjection, master_key):
        for number in range(-10, COMMITS):
            last = writer.write(uuid4(), ConversationStarted(), *turn(f"{number}: {TEXT}", TEXT))[-1]
            began = time.perf_counter()
            while position(connection, HistoryProjection.name) < last:
                pass
            waited.append((time.perf_counter() - began) * 1000)
            time.sleep(pause)
    waited = sorted(waited[10:])  # without those that waited for the projector to start
    return {
        "seconds_between_commits": pause,
        "p50_ms": statistics.median(waited),
        "p99_ms": waited[int(0.99 * COMMITS)],
    }


@contextmanager
def projecting(
    database: ConnectionInfo, kind: type[Projection], master_key: bytes | None = None
) -> Iterator[psutil.Process]:
    process = multiprocessing.get_context("spawn").Process(target=project, args=(database, kind, master_key))
    process.start()
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.join()


def project(database: ConnectionInfo, kind: type[Projection], master_key: bytes | None) -> None:
    projector = Projector(database, [kind()], EventCodec(EventRegistry.default(), keys_of(master_key)))
    projector.run(threading.Event())


def position(connection: psycopg.Connection, name: str) -> int:
    """How far a projection has come."""
    row = connection.execute("SELECT position FROM projection_checkpoints WHERE name = %s", (name,)).fetchone()
    return row[0] if row else 0


if __name__ == "__main__":
    main()
