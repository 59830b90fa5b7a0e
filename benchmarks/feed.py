"""The feed: how fast one follower gets a backlog, and how soon a commit is with followers.

``python benchmarks/feed.py [events]`` needs nothing and takes half a minute. The service is the whole one, with its
HTTP; the follower reads the bytes of its socket and counts positions. Events are those of calls with texts of about
400 characters, as in ``projection.py``.
"""

import asyncio
import re
import statistics
import time
from contextlib import suppress
from uuid import uuid4

import psycopg

import figures
from machine import CpuWatch
from projection import TEXT, fill
from send2llm.testing.event_writer import EventWriter, turn
from service import KEY, RunningService, running_service

BACKLOG = 100_000
COMMITS = 300
FOLLOWERS = 50
POSITION = re.compile(rb"^id: (\d+)$", re.MULTILINE)


async def follow(service: RunningService, after: int, seen: "Seen", until: int) -> None:
    """Read the stream until an event at a position, or later, is there."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
    request = f"GET /api/events?after={after} HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\n"
    writer.write(f"{request}authorization: Bearer {KEY}\r\n\r\n".encode())
    rest = b""
    while seen.last < until and (data := await reader.read(2**20)):
        now = time.perf_counter()
        whole, _, rest = (rest + data).rpartition(b"\n")
        seen.take([int(found) for found in POSITION.findall(whole)], now)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Seen:
    """The positions that came, each checked to be the next one, and when."""

    def __init__(self, after: int) -> None:
        self.last = after
        self.times: dict[int, float] = {}

    def take(self, positions: list[int], now: float) -> None:
        for position in positions:
            if position != self.last + 1:
                raise SystemExit(f"{position} came after {self.last}.")
            self.last = position
            self.times[position] = now


async def backlog(service: RunningService, events: int) -> figures.Row:
    seen = Seen(0)
    with CpuWatch(service.groups) as cpu:
        began = time.perf_counter()
        await follow(service, 0, seen, events)
        seconds = time.perf_counter() - began
    return {
        "events": events,
        "seconds": seconds,
        "events_per_s": events / seconds,
        "worker_us_an_event": cpu.seconds["worker"] / events * 1e6,
        "others_cpus": cpu.others,
    }


async def latency(
    service: RunningService, writer: EventWriter, after: int, followers: int, pause: float
) -> figures.Row:
    """From the return of a commit to the bytes in the follower's hands; the slowest of all followers counts."""
    seen = [Seen(after) for _ in range(followers)]
    until = after + COMMITS * 3
    following = [asyncio.create_task(follow(service, after, one, until)) for one in seen]
    await asyncio.sleep(1.0)  # until they follow
    committed: dict[int, float] = {}
    for number in range(COMMITS):
        stored = await asyncio.to_thread(writer.write, uuid4(), *turn(f"{number}: {TEXT}", TEXT))
        committed[stored[-1]] = time.perf_counter()
        await asyncio.sleep(pause)
    await asyncio.gather(*following)
    waited = sorted(
        (max(one.times[position] for one in seen) - moment) * 1000 for position, moment in committed.items()
    )
    return {
        "followers": followers,
        "seconds_between_commits": pause,
        "p50_ms": statistics.median(waited),
        "p99_ms": waited[int(len(waited) * 0.99)],
        "max_ms": waited[-1],
    }


def wait_for_projections(service: RunningService, position: int) -> None:
    """They would take the processor from the feed."""
    with psycopg.connect(service.database.dsn, autocommit=True) as connection:
        behind = "SELECT count(*) FROM projection_checkpoints WHERE position < %s"
        while connection.execute(behind, [position]).fetchone() != (0,):
            time.sleep(0.1)


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("events", nargs="?", type=int, default=BACKLOG)
    given = options.parse_args()
    with running_service() as service, EventWriter(service.database) as writer:
        events = fill(writer, given.events * 3 // 11)
        wait_for_projections(service, events)
        runs = [asyncio.run(backlog(service, events)) for _ in range(3)]
        figures.tell("A backlog, to one follower", runs, given.figures)
        rows, after = [], events
        for followers, pause in ((1, 0.05), (1, 0.0), (FOLLOWERS, 0.05)):
            rows.append(asyncio.run(latency(service, writer, after, followers, pause)))
            after += COMMITS * 3
        figures.tell("From commit to follower", rows, given.figures)


if __name__ == "__main__":
    main()
