"""Rates of what reads a whole log: rebuilds, comparisons, seals, audits, exports, replays; and a conversation alone."""

import multiprocessing
import statistics
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import psycopg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import create_engine

from projection import position, projecting
from replay import Commands
from send2llm.application.projections import Projection
from send2llm.domain.conversation import Conversation
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.streams import conversation_id_of
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.log_seals.sealer import BLOCK, LogSealer
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.log_seals.verifying import verify_stored
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.checkpoints import builds_of
from send2llm.infrastructure.projections.comparison import differences

LOADED = 200
Measured = Mapping[str, object]


def size_of(database: ConnectionInfo, prefix: str) -> float:
    """Gigabytes of the tables whose names begin so, with their indexes."""
    with psycopg.connect(database.dsn) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::float FROM pg_class"
            " WHERE relkind = 'r' AND relname LIKE %s",
            (f"{prefix}%",),
        ).fetchone()
    return row[0] / 1e9 if row else 0.0


def rebuild(database: ConnectionInfo, events: int, kind: type[Projection], longest: float) -> Measured:
    """Fold all, in at most so many seconds; the rate over all of it and over its last tenth, and whose time it took."""
    name = kind.name
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        _empty(connection, kind)
        with projecting(database, kind) as process:
            while not (first := position(connection, name)):
                time.sleep(0.001)
            session = psutil.Process(_session_of(connection, name))
            times = [(time.perf_counter(), first)]
            before = _used(process), _used(session)
            while times[-1][1] < events and times[-1][0] - times[0][0] < longest:
                time.sleep(0.05)
                times.append((time.perf_counter(), position(connection, name)))
            here, there = _used(process) - before[0], _used(session) - before[1]
    (began, _), (ended, last) = times[0], times[-1]
    at, reached = next(look for look in times if look[1] >= last - (last - first) / 10)
    figures: dict[str, object] = {
        f"rebuild of {name}, events/s": (last - first) / (ended - began),
        f"rebuild of {name}, its last tenth, events/s": (last - reached) / (ended - at) if ended > at else None,
        f"rebuild of {name}, processor us an event, projector": here / (last - first) * 1e6,
        f"rebuild of {name}, processor us an event, PostgreSQL": there / (last - first) * 1e6,
        f"{name}, GB": size_of(database, f"{name}_v"),
    }
    if last < events:
        figures[f"rebuild of {name}, stopped at"] = last
    return figures


def compare(database: ConnectionInfo, name: str) -> Measured:
    """What ``projections verify`` does after its rebuild: a digest over all rows of two builds, here twice the same."""
    engine = create_engine(database.sqlalchemy_url)
    with engine.begin() as connection:
        (live,) = (build for build in builds_of(connection, name) if build.role == "live")
        began = time.perf_counter()
        if differences(connection, live, live):
            raise SystemExit(f"{name} is not the same as itself.")
    engine.dispose()
    return {f"comparison of two builds of {name}, s": time.perf_counter() - began}


def seal(database: ConnectionInfo, folder: Path) -> Measured:
    """Seal what is not sealed yet."""
    sealer = LogSealer(database, SealingKey.of_file(folder / "sealing.key"))
    engine = create_engine(database.sqlalchemy_url)
    began, sealed = time.perf_counter(), 0
    with engine.connect() as connection:
        while (block := sealer.seal_next(connection)) == BLOCK:
            sealed += block
    engine.dispose()
    return {"sealing, events/s": sealed / (time.perf_counter() - began)}


def verify(database: ConnectionInfo) -> Measured:
    """``audit verify``, in a process of its own, so that its memory is nobody else's."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_verify_here, args=(database, there))
    process.start()
    there.close()  # so that a process that fails ends this one, too
    told: Measured = here.recv()
    process.join()
    return told


def _verify_here(database: ConnectionInfo, there: Connection) -> None:
    memory, began = psutil.Process().memory_info().rss, time.perf_counter()
    taken = [memory]
    found = verify_stored(database, (), (), lambda *_: taken.append(psutil.Process().memory_info().rss))
    if found.fault:
        raise SystemExit(found.fault)
    there.send(
        {
            "audit verify, events/s": found.events / (time.perf_counter() - began),
            "audit verify, memory, MiB": (max(taken) - memory) / 2**20,
        }
    )


def command(what: str, database: ConnectionInfo, folder: Path, events: int, *words: str) -> Measured:
    """A command in a process of its own."""
    told: dict[str, Any] = dict(Commands(database, folder, events).run(what, *words))
    return {f"{what}, events/s": told["calls/s"], f"{what}, memory, MiB": told["memory_MiB"]}


def some_conversations(database: ConnectionInfo, number: int) -> Sequence[UUID]:
    """Conversations from all over the log."""
    with psycopg.connect(database.dsn) as connection:
        rows = connection.execute(
            "SELECT DISTINCT originator_id FROM stored_events JOIN generate_series(1, %(number)s) AS place"
            " ON notification_id = place * (SELECT max(notification_id) FROM stored_events) / (%(number)s + 1)"
            " WHERE originator_id LIKE 'conversation-%%'",
            {"number": number},
        ).fetchall()
    return [conversation_id_of(stream) for (stream,) in rows]


async def load(database: ConnectionInfo) -> Measured:
    """One conversation after the other, none of them known to this process."""
    taken = []
    async with AsyncConnectionPool(database.dsn, min_size=1, max_size=1, kwargs={"autocommit": True}) as pool:
        log = EventLog(pool, EventCodec(EventRegistry.default()))
        for conversation_id in some_conversations(database, LOADED):
            began = time.perf_counter()
            await log.fold_stream(
                f"conversation-{conversation_id}",
                0,
                lambda events, conversation_id=conversation_id: Conversation.fold(conversation_id, events),  # type: ignore[misc] # mypy knows no defaults
            )
            taken.append((time.perf_counter() - began) * 1000)
    return {
        "loading a conversation, p50 ms": statistics.median(taken),
        "loading a conversation, p99 ms": sorted(taken)[int(0.99 * len(taken))],
    }


def _empty(connection: psycopg.Connection, kind: type[Projection]) -> None:
    connection.execute("DELETE FROM projection_checkpoints WHERE name = %s", (kind.name,))
    for table in kind.tables.tables:
        if connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone() == (True,):
            connection.execute(f"TRUNCATE {table}".encode())


def _session_of(connection: psycopg.Connection, name: str) -> int:
    application = f"send2llm projection {name}"
    row = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", (application,)).fetchone()
    if row is None:
        raise SystemExit(f"There is no session of {application}.")
    found: int = row[0]
    return found


def _used(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))
