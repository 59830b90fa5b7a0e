"""Intents of which nobody knows whether they were stored: in the end no call is open, and no money is held."""

import asyncio

import pytest
from house import House

from send2llm.domain.completion import Parameters
from send2llm.domain.conversation_events import CompletionInterrupted
from send2llm.domain.errors import StoreUnavailable
from send2llm.testing.conversations import LossyConversations

SHORT = Parameters(max_output_tokens=20)


@pytest.fixture
def house() -> House:
    return House(conversations_kind=LossyConversations)


@pytest.mark.parametrize("stored", [True, False])
async def test_the_call_is_ended_and_its_money_is_free(house, stored):
    plan = await house.budget("1")
    house.conversations.losses.append(stored)
    with pytest.raises(StoreUnavailable):
        await house.complete(parameters=SHORT)
    assert not house.provider.calls
    await house.background.drain(5)

    endings = [one.event for one in house.store.events if isinstance(one.event, CompletionInterrupted)]
    assert [(one.reason, one.cost_usd) for one in endings] == ([("store_unavailable", 0)] if stored else [])
    await house.holds.close()
    balance = (await house.period(plan)).balance
    assert (balance.settled, balance.lent) == (0, 0)


@pytest.mark.parametrize("questions", [0, 1, 15, 100], ids="stored after {} questions".format)
async def test_a_caller_that_is_cancelled_meanwhile_leaves_no_open_call(house, questions):
    """The append goes on without it, for as long as the database takes; 100 questions is longer than that."""
    plan = await house.budget("1")
    reached, saving, sleeping = asyncio.Event(), house.conversations.save, house.clock.sleep
    appends = []

    async def save(conversation, context, **more):
        house.conversations.save = saving
        appends.append(lambda: saving(conversation, context, **more))
        reached.set()
        await asyncio.sleep(3600)

    async def sleep(seconds: float) -> None:
        await sleeping(seconds)
        if appends and len(house.clock.slept) > questions:
            await appends.pop()()

    house.conversations.save, house.clock.sleep = save, sleep
    call = asyncio.create_task(house.complete(parameters=SHORT))
    await reached.wait()
    call.cancel()
    await asyncio.wait([call])
    await house.background.drain(5)
    assert bool(appends) == (questions == 100)
    assert appends or house.last(CompletionInterrupted).cost_usd == 0
    await house.holds.close()
    assert (await house.period(plan)).balance.lent == 0


async def test_it_is_asked_for_until_the_store_is_back(house):
    plan = await house.budget("1")
    house.conversations.losses.append(True)
    with pytest.raises(StoreUnavailable):
        await house.complete(parameters=SHORT)
    house.store.available = False
    sleeping = house.clock.sleep

    async def come_back(seconds: float) -> None:
        await sleeping(seconds)
        house.store.available = len(house.clock.slept) > 2

    house.clock.sleep = come_back
    await house.background.drain(5)
    assert house.last(CompletionInterrupted).reason == "store_unavailable"
    await house.holds.close()
    assert (await house.period(plan)).balance.lent == 0
