"""Waits for what happens in another thread or process."""

import time
from collections.abc import Callable
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
