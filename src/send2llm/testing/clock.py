"""Time, ids and chance that a test decides on."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from uuid import UUID

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""When a ``FakeClock`` begins."""


class FakeClock:
    """A ``Clock`` that moves only when told to, or when somebody sleeps on it: then at once."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._monotonic = 0.0
        self.slept: list[float] = []
        """Every sleep, in seconds, in order."""

    def now(self) -> datetime:
        """The time of day of the test."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Move on by ``seconds``, and let other tasks run once."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)


class SequentialIdentifiers:
    """``Identifiers`` that count: ``00000000-0000-7000-8000-000000000001``, and so on (valid version 7)."""

    def __init__(self, start: int = 1) -> None:
        self._next = start

    def new(self) -> UUID:
        """The next number."""
        number, self._next = self._next, self._next + 1
        return UUID(f"00000000-0000-7000-8000-{number:012x}")


class FixedRandomness:
    """``Randomness`` that gives the same numbers over and over."""

    def __init__(self, numbers: Sequence[float] = (0.5,)) -> None:
        self._numbers = cycle(numbers)

    def random(self) -> float:
        """The next of the numbers."""
        return next(self._numbers)
