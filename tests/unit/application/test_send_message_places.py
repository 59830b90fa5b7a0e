"""Which conversation a message belongs to, and what the provider is told of it."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from house import assistant, user

from send2llm.domain.completion import Answer, Completion, Parameters, Usage
from send2llm.domain.conversation_events import (
    CompletionRequested,
)
from send2llm.domain.errors import (
    AuthenticationFailed,
    CompletionInProgress,
    ConversationIsClosed,
    ConversationNotFound,
)
from send2llm.domain.message import Message, ReasoningPart, TextPart
from send2llm.testing.providers import Held, answer

REQUESTED = ["started", "message_added", "completion_requested"]


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
