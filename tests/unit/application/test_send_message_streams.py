"""Sending a message whose answer comes in pieces."""

import asyncio

import pytest
from house import House, user

from send2llm.application.patience import CallerLeft, Timeouts
from send2llm.domain.completion import Delta, Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionInterrupted,
    CompletionReceived,
)
from send2llm.domain.errors import (
    ProviderTimedOut,
    StreamBroken,
)
from send2llm.testing.providers import Broken, FakeProvider, Held, answer

REQUESTED = ["started", "message_added", "completion_requested"]


async def test_a_stream_passes_pieces_on_and_holds_back_the_end_until_it_is_stored(house):
    house.provider.script(answer("one two", usage=Usage(3, 2)))
    stream = await house.stream(user("Hi"))

    stored = []
    texts = []
    async for batch in stream.batches():
        stored.append(house.topics[-1])
        texts += [delta.text for delta in batch]
        if any(delta.finish_reason for delta in batch):
            break

    assert "".join(texts) == "one two"
    assert stored[-1] == "completion_received"
    assert set(stored[:-1]) == {"completion_requested"}
    assert house.last(CompletionReceived).time_to_first_token is not None


async def test_a_stream_that_breaks_is_recorded_with_the_part_that_came(house):
    house.provider.script(Broken(answer("one two three"), StreamBroken("cut"), after=3))
    stream = await house.stream(user("Hi"))

    with pytest.raises(StreamBroken):
        [batch async for batch in stream.batches()]

    interrupted = house.last(CompletionInterrupted)
    assert interrupted.reason == "provider_failed"
    assert interrupted.partial_text == "one two"
    assert interrupted.estimated_usage.input_tokens > 0
    assert interrupted.cost_usd > 0
    assert house.topics == [*REQUESTED, "attempt_failed", "completion_interrupted"]


async def test_a_stream_that_breaks_before_its_first_token_is_tried_again(house):
    house.provider.script(Broken(answer("one"), StreamBroken("cut"), after=0), answer("two"))
    stream = await house.stream(user("Hi"))

    [batch async for batch in stream.batches()]

    assert stream.reply.completion.answers[0].message.text == "two"
    assert stream.reply.attempts == 2


async def test_a_caller_that_leaves_in_mid_stream(house):
    gate = asyncio.Event()
    house.provider.script(Held(answer("one two three"), gate, after=2))
    stream = await house.stream(user("Hi"))

    batches = stream.batches()
    await anext(batches)
    house.caller.leave()
    with pytest.raises(CallerLeft):
        await anext(batches)

    assert house.last(CompletionInterrupted).reason == "client_disconnected"
    assert house.provider.cancelled == 1


async def test_silence_in_mid_stream_is_given_up():
    house = House(timeouts=Timeouts(between_tokens=0.01))
    house.provider.script(Held(answer("one two three"), asyncio.Event(), after=2))
    stream = await house.stream(user("Hi"))

    with pytest.raises(ProviderTimedOut, match="between_tokens"):
        [batch async for batch in stream.batches()]

    assert house.last(CompletionInterrupted).reason == "provider_failed"


async def test_a_stream_that_nobody_reads_to_its_end(house):
    stream = await house.stream(user("Hi"))
    batches = stream.batches()
    await anext(batches)

    await batches.aclose()

    await house.background.drain(10)
    assert house.last(CompletionInterrupted).reason == "shutdown"


async def test_a_provider_that_says_nothing_but_its_role_can_still_be_replaced():
    class Silent(FakeProvider):
        async def stream(self, call):
            yield [Delta(role="assistant")]
            yield [Delta(usage=Usage(1, 0))]

    house = House([Silent("silent"), FakeProvider("fake", answer("Hello!"))], routes={"r": ["silent/a", "fake/b"]})

    stream = await house.stream(user("Hi"), model="r")
    [batch async for batch in stream.batches()]

    assert stream.reply.provider == "fake"
    assert house.last(AttemptFailed).error == "provider_stream_broken"
