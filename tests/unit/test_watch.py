import asyncio
import gc
import weakref
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest

from send2llm.application.patience import Caller, CallerLeft
from send2llm.interfaces.http.asgi import Watch, unless_left


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
async def test_a_call_that_ends_leaves_nothing_to_the_garbage_collector():
    async def nothing_more() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    watch = Watch(nothing_more, Caller())
    async with watch:
        await asyncio.sleep(0)
    gone = weakref.ref(watch)
    del watch
    for _ in range(3):  # the cancelled task takes its turn, then its end is told
        await asyncio.sleep(0)

    assert gone() is None


async def test_a_caller_that_disconnects_leaves():
    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

    async def receive() -> MutableMapping[str, Any]:
        return next(messages)

    caller = Caller()
    async with Watch(receive, caller):
        await asyncio.sleep(0)

    assert caller.gone


async def test_work_for_a_caller_that_leaves_is_cancelled():
    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])
    cancelled = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        return next(messages)

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(CallerLeft):
        await unless_left(receive, work())
    await cancelled.wait()


async def test_work_for_a_caller_that_stays_ends_as_it_does():
    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def answer() -> str:
        return "whole"

    async def fail() -> None:
        raise LookupError("its own")

    assert await unless_left(receive, answer()) == "whole"
    with pytest.raises(LookupError, match="its own"):
        await unless_left(receive, fail())
    assert len(asyncio.all_tasks()) == 1 or await _settled()


async def _settled() -> bool:
    """Cancelled tasks take their turn."""
    for _ in range(3):
        await asyncio.sleep(0)
    return len(asyncio.all_tasks()) == 1
