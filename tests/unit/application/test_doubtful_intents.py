"""Intents of which nobody knows whether they were stored: in the end no call is open, and no money is held."""

import pytest
from house import House

from send2llm.domain.completion import Parameters
from send2llm.domain.conversation_events import CompletionInterrupted
from send2llm.domain.errors import StoreUnavailable
from send2llm.testing.conversations import InMemoryConversations

SHORT = Parameters(max_output_tokens=20)


class AnswerLost(InMemoryConversations):
    """Loses the answer to the next append: it is ``stored``, or it is not, and nobody is told."""

    stored: bool | None = None

    async def save(self, conversation, context, **more):
        lost, self.stored = self.stored, None
        if lost is False:
            raise StoreUnavailable("The connection broke.")
        position = await super().save(conversation, context, **more)
        if lost:
            raise StoreUnavailable("The connection broke.")
        return position


@pytest.fixture
def house() -> House:
    return House(conversations_kind=AnswerLost)


@pytest.mark.parametrize("stored", [True, False])
async def test_the_call_is_ended_and_its_money_is_free(house, stored):
    plan = await house.budget("1")
    house.conversations.stored = stored
    with pytest.raises(StoreUnavailable):
        await house.complete(parameters=SHORT)
    assert not house.provider.calls
    await house.background.drain(5)

    endings = [one.event for one in house.store.events if isinstance(one.event, CompletionInterrupted)]
    assert [(one.reason, one.cost_usd) for one in endings] == ([("store_unavailable", 0)] if stored else [])
    await house.holds.close()
    balance = (await house.period(plan)).balance
    assert (balance.settled, balance.lent) == (0, 0)


async def test_it_is_asked_for_until_the_store_is_back(house):
    plan = await house.budget("1")
    house.conversations.stored = True
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
