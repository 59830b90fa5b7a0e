"""What users notice of a long log: how long pages and reports take, the feed, and how soon news are to be seen."""

import asyncio
import statistics
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import psycopg

from feed import Seen, follow
from projection import TEXT
from send2llm.domain.conversation_events import ConversationStarted
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, turn
from service import KEY, RunningService, on_database, serving

FOLLOWED = 100_000
LOOKS = 11
COMMITS = 300
PAUSE = 0.03
"""Seconds between two commits: some thirty calls a second, while all projections follow."""

PATIENCE = 120.0
"""Seconds for an answer, and until the projections of a new service have caught up."""

_POSITIONS = "SELECT name, position FROM projection_checkpoints WHERE role = 'live'"


def look_at_service(database: ConnectionInfo, folder: Path, events: int, some: UUID) -> Mapping[str, object]:
    """Milliseconds and rates by what was looked at; ``some`` is a conversation in the middle of the log."""
    with serving(on_database(database, folder)) as service:
        _wait_until_idle(database, events)
        measured: dict[str, object] = dict(_pages(service, some))
        measured["the feed from the middle, events/s"] = asyncio.run(_feed(service, events))
        measured |= _news(database)
    return measured


def _pages(service: RunningService, some: UUID) -> Mapping[str, object]:
    paths = {
        "50 conversations, ms": "/api/conversations?limit=50",
        "50 conversations of a model, ms": "/api/conversations?limit=50&model=gpt-4o",
        "one conversation, ms": f"/api/conversations/{some}",
        "its trail, ms": f"/api/audit/trail?conversation={some}",
        "200 events of an actor's trail, ms": "/api/audit/trail?actor=api_key&limit=200",
        "usage by day, all, ms": "/api/usage?by=day",
        "usage by model, a day, ms": "/api/usage?by=model&begin=2026-01-02T00:00:00Z&end=2026-01-03T00:00:00Z",
        "costs by model, all, ms": "/api/costs?by=model",
        "costs by model, a day, ms": "/api/costs?by=model&begin=2026-01-02T00:00:00Z&end=2026-01-03T00:00:00Z",
        "the state of the projections, ms": "/api/projections",
        "readiness, ms": "/readyz",
    }
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=service.url, headers=headers, timeout=PATIENCE) as client:
        return {what: _median_ms(client, path) for what, path in paths.items()}


def _median_ms(client: httpx2.Client, path: str) -> float:
    taken = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        answer = client.get(path)
        taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code not in (200, 503):
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
    return statistics.median(taken)


async def _feed(service: RunningService, events: int) -> float:
    begin = max(0, events // 2 - FOLLOWED // 2)
    number = min(FOLLOWED, events)
    began = time.perf_counter()
    await follow(service, begin, Seen(begin), begin + number)
    return number / (time.perf_counter() - began)


def _news(database: ConnectionInfo) -> Mapping[str, object]:
    """From the return of a commit until each projection has it, while commits go on."""
    committed: list[tuple[int, float]] = []
    with EventWriter(database) as writer, psycopg.connect(database.dsn, autocommit=True) as connection:
        writing = threading.Thread(target=_write, args=(writer, committed))
        writing.start()
        reached: list[tuple[float, dict[str, int]]] = []
        while writing.is_alive() or min(reached[-1][1].values()) < committed[-1][0]:
            rows = connection.execute(_POSITIONS).fetchall()
            reached.append((time.perf_counter(), dict(rows)))
            time.sleep(0.001)
        writing.join()
    waited = sorted(_slowest_of_all(committed, reached))
    return {
        "from commit to all projections, p50 ms": statistics.median(waited),
        "from commit to all projections, p99 ms": waited[int(0.99 * len(waited))],
    }


def _write(writer: EventWriter, committed: list[tuple[int, float]]) -> None:
    for number in range(COMMITS):
        last = writer.write(uuid4(), ConversationStarted(), *turn(f"{number}: {TEXT}", TEXT))[-1]
        committed.append((last, time.perf_counter()))
        time.sleep(PAUSE)


def _slowest_of_all(committed: list[tuple[int, float]], reached: list[tuple[float, dict[str, int]]]) -> list[float]:
    looks = iter(reached)
    moment, positions = next(looks)
    waited = []
    for last, at in committed:
        while min(positions.values()) < last:
            moment, positions = next(looks)
        waited.append(max(0.0, moment - at) * 1000)
    return waited


def _wait_until_idle(database: ConnectionInfo, events: int) -> None:
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        while True:
            rows = connection.execute(_POSITIONS).fetchall()
            if len(rows) >= 4 and min(position for _, position in rows) >= events:
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"The projections do not catch up: {rows}")
            time.sleep(0.2)
