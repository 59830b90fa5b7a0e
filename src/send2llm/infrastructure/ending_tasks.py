"""Ending tasks of the event loop that would not end by themselves."""

import asyncio
from typing import Any


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks, and wait until they have ended; what they raised is left with them.

    Again, if need be: before Python 3.12 ``asyncio.wait_for`` (which the connection pool uses too) swallows a
    cancellation that comes in the very moment in which what it waits for is there.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1.0)
