"""Sending a message: the answer, its cost, attempts and candidates, callers that leave, limits of time."""

import asyncio
from decimal import Decimal

import pytest
from house import House, user

from send2llm.application.patience import CallerLeft, Timeouts
from send2llm.application.retries import RetryPolicy
from send2llm.domain.completion import Delta, Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
)
from send2llm.domain.errors import (
    AuthenticationFailed,
    Overloaded,
    ProviderTimedOut,
    RateLimited,
    UnknownModel,
)
from send2llm.testing.providers import FakeProvider, Held, answer

REQUESTED = ["started", "message_added", "completion_requested"]


async def test_the_answer_is_stored_with_its_cost_before_it_is_handed_over(house):
    house.provider.script(answer("Hello!", usage=Usage(input_tokens=1000, output_tokens=100)))

    reply = await house.complete(user("Hi"))

    assert reply.completion.answers[0].message.text == "Hello!"
    assert house.topics == [*REQUESTED, "completion_received"]
    received = house.last(CompletionReceived)
    assert received.cost_usd == reply.cost_usd == Decimal("0.0045")
    assert received.price_version == "test prices 1"
    assert received.reported_usage == Usage(input_tokens=1000, output_tokens=100)
    assert received.estimated_usage is None


async def test_the_intent_is_stored_before_the_provider_is_asked(house):
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!"), gate))

    call = asyncio.create_task(house.complete(user("Hi")))
    await house.provider.called()

    assert house.topics == REQUESTED
    requested = house.last(CompletionRequested)
    assert (requested.provider, requested.model, requested.process) == ("fake", "fake-model", "process-1")
    gate.set()
    await call


async def test_usage_that_nobody_reported_is_estimated_and_says_so(house):
    house.provider.script(answer("one two three"))

    await house.complete(user("Hi"))

    received = house.last(CompletionReceived)
    assert received.reported_usage is None
    assert received.estimated_usage.output_tokens > 0
    assert house.observer.calls[-1].usage_estimated


async def test_a_model_without_a_price_costs_nobody_knows_what(house):
    reply = await house.complete(user("Hi"), model="fake/unpriced")

    assert reply.cost_usd is None
    assert house.last(CompletionReceived).price_version is None


async def test_a_transient_failure_is_tried_again_after_a_wait(house):
    house.provider.script(Overloaded("busy", status=503), answer("Hello!"))

    reply = await house.complete(user("Hi"))

    assert reply.attempts == 2
    assert house.topics == [*REQUESTED, "attempt_failed", "completion_received"]
    assert house.clock.slept == [0.25]  # first_wait x 2^0 x the fixed chance of a half
    failed = house.last(AttemptFailed)
    assert (failed.attempt, failed.error, failed.status, failed.retryable) == (1, "provider_overloaded", 503, True)
    assert house.observer.attempts[0].retry_in == 0.25


async def test_the_provider_says_how_long_to_wait(house):
    house.provider.script(RateLimited("slow down", status=429, retry_after=7.0), answer("Hello!"))

    await house.complete(user("Hi"))

    assert house.clock.slept == [7.0]


async def test_a_wait_that_is_too_long_is_not_waited_for(house):
    house.provider.script(RateLimited("slow down", status=429, retry_after=3600.0))

    with pytest.raises(RateLimited):
        await house.complete(user("Hi"))

    assert house.clock.slept == []
    assert len(house.provider.calls) == 1


async def test_a_permanent_failure_is_told_at_once(house):
    house.provider.script(AuthenticationFailed("no", status=401))

    with pytest.raises(AuthenticationFailed):
        await house.complete(user("Hi"))

    assert house.topics == [*REQUESTED, "attempt_failed", "completion_failed"]
    assert house.last(CompletionFailed).error == "provider_authentication_failed"
    assert len(house.provider.calls) == 1


async def test_attempts_are_bounded():
    house = House(retries=RetryPolicy(attempts=3))
    house.provider.script(Overloaded("busy"))

    with pytest.raises(Overloaded):
        await house.complete(user("Hi"))

    assert len(house.provider.calls) == 3
    assert house.topics == [*REQUESTED, *["attempt_failed"] * 3, "completion_failed"]
    assert house.last(CompletionFailed).attempts == 3


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_route_goes_on_to_its_next_candidate(streaming):
    first = FakeProvider("first", AuthenticationFailed("no"))
    second = FakeProvider("second", answer("Hello from the second."))
    house = House([first, second], routes={"fast": ["first/a", "second/b"]})

    if streaming:
        stream = await house.stream(user("Hi"), model="fast")
        [batch async for batch in stream.batches()]
        reply = stream.reply
    else:
        reply = await house.complete(user("Hi"), model="fast")

    assert (reply.provider, reply.model, reply.attempts) == ("second", "b", 2)
    requested = house.last(CompletionRequested)
    assert requested.decision.strategy == "route"
    assert [candidate.provider for candidate in requested.decision.candidates] == ["first", "second"]
    received = house.last(CompletionReceived)
    assert (received.provider, received.model) == ("second", "b")


async def test_an_unknown_model_leaves_nothing_behind():
    house = House([FakeProvider("a"), FakeProvider("b")])

    with pytest.raises(UnknownModel, match="a, b"):
        await house.complete(user("Hi"), model="nobody-has-this")

    assert house.topics == []


async def test_a_caller_that_leaves_ends_the_call_at_the_provider(house):
    house.provider.script(Held(answer("Hello!"), asyncio.Event()))
    call = asyncio.create_task(house.complete(user("Hi")))
    await house.provider.called()

    house.caller.leave()

    with pytest.raises(CallerLeft):
        await call
    assert house.provider.cancelled == 1
    assert house.last(CompletionInterrupted).reason == "client_disconnected"
    assert house.observer.calls[-1].outcome == "interrupted"


async def test_a_call_that_is_cancelled_is_recorded_in_the_background(house):
    house.provider.script(Held(answer("Hello!"), asyncio.Event()))
    call = asyncio.create_task(house.complete(user("Hi")))
    await house.provider.called()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await house.background.drain(10)
    assert house.last(CompletionInterrupted).reason == "shutdown"


@pytest.mark.parametrize(
    ("timeouts", "streaming", "phase"),
    [
        (Timeouts(total=0.01), False, "total"),
        (Timeouts(total=0.01), True, "total"),
        (Timeouts(first_token=0.01), True, "first_token"),
    ],
)
async def test_a_provider_that_does_not_answer_is_given_up(timeouts, streaming, phase):
    house = House(timeouts=timeouts, retries=RetryPolicy(attempts=1))
    house.provider.script(Held(answer("Hello!"), asyncio.Event()))

    with pytest.raises(ProviderTimedOut) as caught:
        await (house.stream(user("Hi")) if streaming else house.complete(user("Hi")))

    assert caught.value.phase == phase
    assert house.provider.cancelled == 1
    assert house.topics[-2:] == ["attempt_failed", "completion_failed"]


async def test_the_report_tells_our_own_time_from_the_providers(house):
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!"), gate))
    call = asyncio.create_task(house.complete(user("Hi")))
    await house.provider.called()
    house.clock.advance(2.0)
    gate.set()
    await call

    report = house.observer.calls[-1]
    assert report.upstream == pytest.approx(2.0)
    assert report.duration == pytest.approx(2.0)


class Buggy(FakeProvider):
    """An adapter with a mistake in it."""

    async def complete(self, call):
        raise KeyError("choices")

    async def stream(self, call):
        yield [Delta(text="one")]
        raise KeyError("choices")


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_mistake_of_ours_leaves_no_call_open(streaming):
    house = House([Buggy("fake")])

    with pytest.raises(KeyError):
        await (house.streamed(user("Hi")) if streaming else house.complete(user("Hi")))

    await house.background.drain(10)
    assert house.last(CompletionInterrupted).reason == "internal_error"
