"""Waits for what happens in another thread or process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.01


def eventually(question: Callable[[], T], seconds: float = 20.0) -> T:
    """Ask until the answer is true, and give it; AssertionError with the last answer after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {seconds:g} s")
        time.sleep(_PAUSE)
    return answer


async def eventually_async(question: Callable[[], Awaitable[T]], seconds: float = 20.0) -> T:
    """``eventually`` for a question that is asked of something on the event loop."""
    deadline = time.monotonic() + seconds
    while not (answer := await question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {seconds:g} s")
        await asyncio.sleep(_PAUSE)
    return answer
