import asyncio
import gc
import weakref
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest

from send2llm.application.patience import Caller
from send2llm.interfaces.http.asgi import Watch


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
