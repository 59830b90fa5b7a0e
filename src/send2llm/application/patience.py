"""How long a call waits for its provider, and for whom."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from math import inf
from typing import TypeVar

from send2llm.domain.errors import ProviderTimedOut

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a call may take.

    ``first_token`` and ``between_tokens`` apply to streams; ``total`` to every call from its first attempt to its
    end, retries and waits included. ``connect`` is kept by the provider's HTTP client.
    """

    connect: float = 5.0
    first_token: float = 120.0
    between_tokens: float = 60.0
    total: float = 600.0


class CallerLeft(Exception):
    """The caller went away before the answer was there."""


class Caller:
    """Whoever waits for the answer, until it leaves."""

    def __init__(self) -> None:
        self.gone = False
        self._waiting: asyncio.Timeout | None = None

    def leave(self) -> None:
        """The caller has gone: whatever is awaited for it ends at once."""
        self.gone = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())


class Patience:
    """Waits for things on behalf of a caller, within the timeouts."""

    def __init__(self, caller: Caller, timeouts: Timeouts) -> None:
        self.caller = caller
        self._timeouts = timeouts
        self._ends = asyncio.get_running_loop().time() + timeouts.total

    async def for_first_token(self, awaitable: Awaitable[T]) -> T:
        """Wait for the beginning of a stream."""
        return await self._wait(awaitable, "first_token", self._timeouts.first_token)

    async def for_next_token(self, awaitable: Awaitable[T]) -> T:
        """Wait for a stream to go on."""
        return await self._wait(awaitable, "between_tokens", self._timeouts.between_tokens)

    async def for_all(self, awaitable: Awaitable[T]) -> T:
        """Wait as long as the call may take at all."""
        return await self._wait(awaitable, "total", inf)

    async def _wait(self, awaitable: Awaitable[T], phase: str, seconds: float) -> T:
        """Raises ``ProviderTimedOut``, or ``CallerLeft`` as soon as the caller leaves.

        A deadline and a leaving caller end the wait in the same way, by the one timer of ``asyncio.timeout``: so
        there is one place where a call to a provider is ever cancelled, and it costs no task of its own.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        if deadline > self._ends:
            deadline, phase, seconds = self._ends, "total", self._timeouts.total
        scope = asyncio.timeout_at(0 if self.caller.gone else deadline)
        try:
            async with scope:
                self.caller._waiting = scope  # noqa: SLF001 - the two classes are one mechanism
                return await awaitable
        except TimeoutError:
            if not scope.expired():
                raise
            if self.caller.gone:
                raise CallerLeft from None
            raise ProviderTimedOut(phase, seconds) from None
        finally:
            self.caller._waiting = None  # noqa: SLF001 - as above
