"""Time, names and chance as the operating system gives them."""

import asyncio
import random
import time
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FixedClock(SystemClock):
    """The machine's clock, but for its time of day, which stands still."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


class TimeOrderedIdentifiers:
    """UUIDs of version 7 (RFC 9562): they sort by the time of their making, which keeps indexes dense."""

    def new(self) -> UUID:
        identifier: UUID = uuid_utils.compat.uuid7()
        return identifier


class SystemRandomness:
    """Chance good enough to spread retries; no secret is made of it."""

    def random(self) -> float:
        return random.random()  # noqa: S311 - see the class
