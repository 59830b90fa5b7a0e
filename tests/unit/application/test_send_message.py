import asyncio
from dataclasses import replace
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from uuid import UUID

import pytest
from house import House, assistant, user

from send2llm.application import intents
from send2llm.application.patience import CallerLeft, Timeouts
from send2llm.application.retries import RetryPolicy
from send2llm.application.send_command import SendMessage, request_digest
from send2llm.domain.completion import Answer, Completion, Delta, Parameters, Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
)
from send2llm.domain.errors import (
    AuthenticationFailed,
    CompletionInProgress,
    ConversationIsClosed,
    ConversationNotFound,
    IdempotencyKeyReused,
    Overloaded,
    ProviderTimedOut,
    RateLimited,
    StoreUnavailable,
    StreamBroken,
    UnknownModel,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import Message, ReasoningPart, TextPart, ToolCallPart
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.text_keys import TextKeys, UnreadableText
from send2llm.testing.event_store import InMemoryEventStore
from send2llm.testing.providers import Broken, FakeProvider, Held, answer

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


async def test_history_sent_again_continues_the_conversation(house):
    house.provider.script(answer("Hello!"), answer("Fine."))
    first = await house.complete(user("Hi"))

    second = await house.complete(user("Hi"), assistant("Hello!"), user("How are you?"))

    assert second.conversation_id == first.conversation_id
    assert house.topics == [
        *REQUESTED,
        "completion_received",
        "message_added",
        "completion_requested",
        "completion_received",
    ]
    assert [message.text for message in house.provider.calls[1].messages] == ["Hi", "Hello!", "How are you?"]


MARKED = {"cache_control": {"type": "ephemeral"}}


def told(role, *parts, format_="anthropic"):
    return Message(role, parts, format=format_)


async def test_the_provider_gets_what_was_said_as_it_is_told_now(house):
    """Marks for caches move from turn to turn: a provider takes only so many, those of the newest request."""
    house.provider.script(replace_format(answer("Hello!"), "anthropic"), answer("Fine."))
    await house.complete(told("user", TextPart("Hi", extras=MARKED)))
    thought = ReasoningPart("hm", "proof")
    again = [told("user", TextPart("Hi")), told("assistant", thought, TextPart("Hello!", extras=MARKED))]
    await house.complete(*again, told("user", TextPart("And?", extras=MARKED)))

    assert house.provider.calls[1].messages == [*again, told("user", TextPart("And?", extras=MARKED))]
    assert house.topics.count("message_added") == 2


async def test_what_was_answered_in_another_format_goes_back_as_it_was(house):
    stored = replace_format(answer("Hello!"), "gemini")
    house.provider.script(stored, answer("Fine."))
    await house.complete(told("user", TextPart("Hi")))
    await house.complete(
        told("user", TextPart("Hi")), told("assistant", TextPart("Hello!")), told("user", TextPart("?"))
    )

    assert house.provider.calls[1].messages[1].format == "gemini"


async def test_thoughts_that_a_caller_cannot_tell_again_go_back_as_they_were(house):
    thinking = Completion((Answer(Message("assistant", (ReasoningPart("hm"), TextPart("Hello!"))), "stop"),))
    house.provider.script(thinking, answer("Fine."))
    await house.complete(user("Hi"))
    await house.complete(user("Hi"), assistant("Hello!"), user("And?"))

    assert house.provider.calls[1].messages[1] == thinking.answers[0].message


def replace_format(completion, format_):
    return replace(
        completion,
        answers=tuple(replace(one, message=replace(one.message, format=format_)) for one in completion.answers),
    )


async def test_a_budget_counts_what_is_sent_and_not_what_was_stored(house):
    """A caller may tell thoughts that were not stored; they are tokens, too."""
    plan = await house.budget("1")
    house.provider.script(
        replace_format(answer("Hello!", usage=Usage(1, 1)), "anthropic"), answer("x", usage=Usage(1, 1))
    )
    limited = Parameters(max_output_tokens=1)
    await house.complete(told("user", TextPart("Hi")), parameters=limited)
    before = house.last(CompletionRequested).hold_usd
    thought = ReasoningPart("x" * 10_000, "proof")
    again = [told("user", TextPart("Hi")), told("assistant", thought, TextPart("Hello!")), told("user", TextPart("?"))]
    await house.complete(*again, parameters=limited)

    assert plan is not None
    assert house.last(CompletionRequested).hold_usd - before > 10_000 * Decimal(3) / 1_000_000


async def test_history_from_elsewhere_starts_a_conversation_that_holds_it(house):
    await house.complete(user("Hi"), assistant("Hello from elsewhere"), user("How are you?"))

    assert house.topics == ["started", *["message_added"] * 3, "completion_requested", "completion_received"]


async def test_an_edited_turn_becomes_a_conversation_of_its_own(house):
    house.provider.script(answer("Hello!"))
    first = await house.complete(user("Hi"))
    second = await house.complete(user("Hi"), assistant("Hello!"), user("How are you?"))

    branch = await house.complete(user("Hi"), assistant("Hello!"), user("Where are you?"))

    assert second.conversation_id == first.conversation_id
    assert branch.conversation_id != first.conversation_id


async def test_a_named_conversation_takes_only_what_is_new(house):
    house.provider.script(answer("Hello!"))
    first = await house.complete(user("Hi"))

    await house.complete(user("Hi"), assistant("Hello!"), user("And?"), conversation_id=first.conversation_id)
    await house.complete(user("More?"), conversation_id=first.conversation_id, parts_only=True)

    texts = [message.text for message in house.provider.calls[-1].messages]
    assert texts == ["Hi", "Hello!", "And?", "Hello!", "More?"]


async def test_a_failed_turn_can_be_tried_again_without_saying_it_twice(house):
    house.provider.script(answer("Hello!"), AuthenticationFailed("no"), answer("Fine."))
    first = await house.complete(user("Hi"))
    turn = (user("Hi"), assistant("Hello!"), user("How are you?"))
    with pytest.raises(AuthenticationFailed):
        await house.complete(*turn)

    again = await house.complete(*turn)

    assert again.conversation_id == first.conversation_id
    assert [message.text for message in house.provider.calls[-1].messages] == ["Hi", "Hello!", "How are you?"]


async def test_an_unknown_conversation_is_refused(house):
    with pytest.raises(ConversationNotFound):
        await house.complete(user("Hi"), conversation_id=UUID(int=7))

    assert house.topics == []


async def test_a_closed_conversation_is_refused_by_name_and_left_alone_by_transcript(house):
    house.provider.script(answer("Hello!"))
    first = await house.complete(user("Hi"))
    conversation = await house.conversations.load(first.conversation_id)
    conversation.close()
    await house.conversations.save(conversation, house.context())

    with pytest.raises(ConversationIsClosed):
        await house.complete(user("More"), conversation_id=first.conversation_id)
    other = await house.complete(user("Hi"), assistant("Hello!"), user("How are you?"))

    assert other.conversation_id != first.conversation_id


async def test_a_conversation_answers_one_question_at_a_time(house):
    first = await house.complete(user("Hi"))
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!"), gate))
    call = asyncio.create_task(house.complete(user("A?"), conversation_id=first.conversation_id))
    await house.provider.called(2)

    with pytest.raises(CompletionInProgress):
        await house.complete(user("B?"), conversation_id=first.conversation_id)

    gate.set()
    await call


async def test_who_goes_on_with_a_busy_conversation_by_its_transcript_branches_off(house):
    house.provider.script(answer("Hello!"))
    labels = {"user": "4711"}
    first = await house.complete(user("Hi"), labels=labels)
    gate = asyncio.Event()
    house.provider.script(Held(answer("Left."), gate), answer("Right."))
    left = asyncio.create_task(house.complete(user("Hi"), assistant("Hello!"), user("A?")))
    await house.provider.called(2)
    right = await house.complete(user("Hi"), assistant("Hello!"), user("B?"))
    gate.set()

    assert (await left).conversation_id == first.conversation_id
    branch = await house.conversations.load(right.conversation_id)
    assert branch.labels == {**labels, "branch_of": str(first.conversation_id)}
    assert [message.text for message in branch.messages] == ["Hi", "Hello!", "B?", "Right."]


async def test_a_repeated_idempotency_key_gets_the_recorded_answer(house):
    first = await house.complete(user("Hi"), idempotency_key="k")

    again = await house.complete(user("Hi"), idempotency_key="k")

    assert again.replayed
    assert again.completion_id == first.completion_id
    assert again.completion.answers == first.completion.answers
    assert len(house.provider.calls) == 1
    assert house.observer.calls[-1].outcome == "replayed"


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


@pytest.mark.parametrize("digest_key", ["", "k"])
async def test_a_claim_of_an_earlier_version_is_known_again(house, monkeypatch, digest_key):
    """It holds the digest itself, in the beginning without a key."""
    with monkeypatch.context() as earlier:
        digest = request_digest(house.command(user("Hi"), idempotency_key="k"), digest_key)
        earlier.setattr(intents, "_claimed", partial(_claimed_with, digest))
        earlier.setattr(intents, "request_digest", lambda *_: "")
        first = await house.complete(user("Hi"), idempotency_key="k")

    again = await house.complete(user("Hi"), idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        await house.complete(user("Something else"), idempotency_key="k")

    assert (again.replayed, again.completion_id) == (True, first.completion_id)


def _claimed_with(digest, conversation_id, completion_id):
    return IdempotencyKeyClaimed(conversation_id=conversation_id, completion_id=completion_id, request_digest=digest)


async def test_an_idempotency_key_belongs_to_one_request(house):
    await house.complete(user("Hi"), idempotency_key="k")

    with pytest.raises(IdempotencyKeyReused):
        await house.complete(user("Something else"), idempotency_key="k")


async def test_an_idempotency_key_may_try_again_after_a_failure(house):
    house.provider.script(AuthenticationFailed("no"), answer("Hello!"))
    with pytest.raises(AuthenticationFailed):
        await house.complete(user("Hi"), idempotency_key="k")

    reply = await house.complete(user("Hi"), idempotency_key="k")

    assert not reply.replayed
    assert len(house.conversation_ids()) == 1
    assert [message.text for message in house.provider.calls[-1].messages] == ["Hi"]


async def test_the_same_key_at_the_same_moment_asks_once(house):
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!"), gate))
    call = asyncio.create_task(house.complete(user("Hi"), idempotency_key="k"))
    await house.provider.called()

    with pytest.raises(CompletionInProgress):
        await house.complete(user("Hi"), idempotency_key="k")

    gate.set()
    await call
    assert len(house.provider.calls) == 1


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


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer_that_cannot_be_stored_leaves_no_call_open(house, streaming):
    house.provider.script(answer("one two", ToolCallPart("1", "tool", "{}", extras={"no JSON": object()})))

    with pytest.raises(TypeError):
        await (house.streamed(user("Hi")) if streaming else house.complete(user("Hi")))

    await house.background.drain(10)
    assert house.last(CompletionInterrupted).reason == "internal_error"
    assert house.last(CompletionInterrupted).partial_text == ("one two" if streaming else "")


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


def test_the_digest_of_a_request_survives_new_kinds_of_parameters():
    parameters = Parameters(temperature=0.5, stop=("a",), extras=MappingProxyType({"user": "u", "b": {"c": [1]}}))
    command = SendMessage(model="m", messages=[user("Hi")], parameters=parameters)

    assert request_digest(command) == "0afe660d753081007fe37f67ee91727d"
    assert request_digest(replace(command, parameters=Parameters())) != "0afe660d753081007fe37f67ee91727d"
    assert request_digest(command, "a key") == "e4294a42653b7f75dea1fe3f8a9761ae"
    assert request_digest(command, "another key") != "e4294a42653b7f75dea1fe3f8a9761ae"
