"""Sending a message while the event store cannot keep it, or cannot be read."""

import asyncio
from decimal import Decimal

import pytest
from house import House, user

from send2llm.domain.completion import Usage
from send2llm.domain.conversation_events import (
    CompletionInterrupted,
    CompletionRequested,
)
from send2llm.domain.errors import (
    StoreUnavailable,
)
from send2llm.domain.message import ToolCallPart
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.text_keys import TextKeys, UnreadableText
from send2llm.testing.event_store import InMemoryEventStore
from send2llm.testing.providers import Held, answer


async def test_an_answer_that_nobody_could_read_again_is_not_given():
    """The conversation's key is lost while the provider answers: the call ends, and what it cost is in the books."""
    store = InMemoryEventStore(keys=TextKeys.generate())
    house = House(store=store)
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!", usage=Usage(input_tokens=1000, output_tokens=100)), gate))
    call = asyncio.create_task(house.complete(user("Hi")))
    await house.provider.called()
    completion, (conversation,) = house.last(CompletionRequested).completion_id, house.conversation_ids()

    store.lose_key(conversation_stream(conversation))
    gate.set()
    with pytest.raises(UnreadableText):
        await call

    stored = await house.conversations.load(conversation, texts=False)
    ending = stored.ending(completion).event
    assert isinstance(ending, CompletionInterrupted)
    assert (ending.reason, ending.cost_usd, ending.partial_text) == ("store_unavailable", Decimal("0.0045"), "")
    assert stored.awaited is None
    assert house.observer.calls[-1].error == "unreadable_text"


async def test_without_a_store_nothing_is_asked(house):
    house.conversations.available = False

    with pytest.raises(StoreUnavailable):
        await house.complete(user("Hi"))

    assert house.provider.calls == []


async def test_an_outcome_that_cannot_be_stored_is_not_handed_over_but_stored_later(house):
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!"), gate))
    call = asyncio.create_task(house.complete(user("Hi")))
    await house.provider.called()
    house.conversations.available = False
    gate.set()

    with pytest.raises(StoreUnavailable):
        await call

    house.conversations.available = True
    await house.background.drain(10)
    assert house.topics[-1] == "completion_received"


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer_that_cannot_be_stored_leaves_no_call_open(house, streaming):
    house.provider.script(answer("one two", ToolCallPart("1", "tool", "{}", extras={"no JSON": object()})))

    with pytest.raises(TypeError):
        await (house.streamed(user("Hi")) if streaming else house.complete(user("Hi")))

    await house.background.drain(10)
    assert house.last(CompletionInterrupted).reason == "internal_error"
    assert house.last(CompletionInterrupted).partial_text == ("one two" if streaming else "")
