"""What is too long for the model is sent shortened; what is stored stays whole, and an event says what was left out."""

import pytest
from house import House, assistant, user
from hypothesis import given, strategies as st

from send2llm.domain.completion import Parameters
from send2llm.domain.conversation_events import CompletionRequested, ContextShortened, Stretch
from send2llm.domain.errors import ConfigurationError, Overloaded
from send2llm.domain.estimation import estimate_message_tokens
from send2llm.domain.message import Message, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.handlers.context.cutting import left_out, newest_from, without
from send2llm.infrastructure.handlers.context.summaries import INTRODUCTION
from send2llm.infrastructure.handlers.fit_context import FitContext
from send2llm.testing.providers import FakeProvider, answer

SYSTEM = Message("system", (TextPart("Be kind."),))
SMALL = {"model": "fake/small-model", "parameters": Parameters(max_output_tokens=100)}
"""Has a window of 1,000 tokens, and so 800 for messages."""


def turn(number, size=100):
    """About that many tokens in two messages."""
    text = "x" * int(size / 2 * 3.6 - 15)
    return [user(f"{number} {text}"), assistant(f"{number} {text}")]


def turns(*numbers, size=100):
    return [message for number in numbers for message in turn(number, size)]


def house_with(*outcomes, **options):
    provider = FakeProvider("fake", *outcomes) if outcomes else FakeProvider("fake")
    return House(providers=[provider], handlers=[FitContext(options)])


def sent(house, call=-1):
    return [message.text.split(" ")[0] for message in house.provider.calls[call].messages]


async def test_what_fits_is_sent_whole():
    house = house_with()
    await house.complete(SYSTEM, *turns(1, 2, 3), user("now"), **SMALL)
    assert len(house.provider.calls[0].messages) == 8
    assert "context_shortened" not in house.topics


async def test_a_model_of_unknown_size_is_sent_everything():
    house = house_with()
    await house.complete(*turns(*range(50)), user("now"))
    assert len(house.provider.calls[0].messages) == 101


async def test_the_oldest_turns_are_left_out_and_that_is_recorded():
    house = house_with()
    await house.complete(SYSTEM, *turns(*range(1, 11)), user("now"), **SMALL)
    assert sent(house) == ["Be", "6", "6", "7", "7", "8", "8", "9", "9", "10", "10", "now"]
    event = house.last(ContextShortened)
    assert (event.mode, event.left_out) == ("trimmed", (Stretch(2, 11),))
    assert (event.token_limit, event.context_window) == (800, 1000)
    assert event.tokens_after == estimate_message_tokens(house.provider.calls[0].messages) <= 560
    assert event.tokens_before > 800
    assert event.completion_id == house.last(CompletionRequested).completion_id
    assert house.topics[-3:] == ["context_shortened", "completion_requested", "completion_received"]
    (conversation_id,) = house.conversation_ids()
    assert len((await house.conversations.load(conversation_id)).messages) == 23


async def test_later_turns_are_cut_at_the_same_place_for_as_long_as_they_fit():
    house = house_with()
    first = await house.complete(SYSTEM, *turns(*range(1, 11)), user("now"), **SMALL)
    more = {**SMALL, "conversation_id": first.conversation_id, "parts_only": True}
    await house.complete(user("next"), **more)
    assert sent(house)[:3] == ["Be", "6", "6"]
    assert house.topics.count("context_shortened") == 1
    for number in range(4):
        await house.complete(turn(number)[0], **more)
    assert house.topics.count("context_shortened") == 1
    await house.complete(user("y" * 700), **more)
    assert house.topics.count("context_shortened") == 2
    assert sent(house)[1] not in ("6", "7")


def working(size):
    """A task on which the model works with tools."""
    calls = Message("assistant", (ToolCallPart("c1", "f", "{}"), ToolCallPart("c2", "f", "{}")))
    return [user("task"), calls, *(Message("tool", (ToolResultPart(name, "z" * size),)) for name in ("c1", "c2"))]


async def test_a_tool_result_stays_with_its_call():
    house = house_with()
    await house.complete(*turns(1, 2, 3), *working(1000), assistant("so"), user("now"), **SMALL)
    assert sent(house) == ["now"]
    await house.complete(*turns(*range(7)), *working(500), **SMALL)
    roles = [message.role for message in house.provider.calls[-1].messages]
    assert roles[-4:] == ["user", "assistant", "tool", "tool"]


async def test_in_the_midst_of_work_the_task_is_not_forgotten():
    house = house_with()
    await house.complete(*turns(1, 2, 3), *working(1000), **SMALL)
    assert [message.role for message in house.provider.calls[-1].messages] == ["user", "assistant", "tool", "tool"]
    assert house.last(ContextShortened).left_out == (Stretch(1, 6),)
    await house.complete(*turns(1, 2), *working(1000), assistant("x" * 2500), **SMALL)
    assert sent(house) == ["task", "x" * 2500]
    assert house.last(ContextShortened).left_out == (Stretch(1, 4), Stretch(6, 8))


async def test_the_newest_message_is_sent_whatever_it_comes_to():
    house = house_with()
    await house.complete(*turns(1), user("x" * 9000), **SMALL)
    assert len(house.provider.calls[0].messages) == 1


async def test_the_smallest_window_of_a_route_counts():
    house = House(
        providers=[FakeProvider("big"), FakeProvider("fake")],
        routes={"both": ["big/huge", "fake/small-model"]},
        handlers=[FitContext({"windows": {"big/huge": 100_000}})],
    )
    await house.complete(*turns(*range(1, 11)), user("now"), **{**SMALL, "model": "both"})
    assert house.last(ContextShortened).context_window == 1000


async def test_a_summary_is_written_by_a_call_of_its_own():
    outcomes = [answer("They counted to five."), answer("Fine.")]
    house = house_with(*outcomes, mode="summarise", summary_model="fake/other", summary_tokens=50)
    reply = await house.complete(SYSTEM, *turns(*range(1, 11)), user("now"), **SMALL)
    asked, answered = house.provider.calls
    assert asked.model == "other"
    assert asked.parameters.max_output_tokens == 50
    assert "user: 1 xxx" in asked.messages[1].text
    event = house.last(ContextShortened)
    assert (event.mode, event.summary) == ("summarised", "They counted to five.")
    assert event.summary_conversation_id != reply.conversation_id
    assert answered.messages[1].text == f"{INTRODUCTION}They counted to five."
    assert [message.role for message in answered.messages[:3]] == ["system", "user", "user"]
    summaries = await house.conversations.load(event.summary_conversation_id)
    assert summaries.labels == {"summary_of": str(reply.conversation_id)}
    assert summaries.ending(event.summary_completion_id).event is not None


async def test_a_summary_is_used_again_and_then_summarised_with_what_follows():
    outcomes = [answer("First."), answer("1"), answer("2"), answer("Second."), answer("3")]
    house = house_with(*outcomes, mode="summarise", summary_model="fake/other", summary_tokens=50)
    first = await house.complete(SYSTEM, *turns(*range(1, 11)), user("now"), **SMALL)
    more = {**SMALL, "conversation_id": first.conversation_id, "parts_only": True}
    await house.complete(user("next"), **more)
    assert house.provider.calls[-1].messages[1].text == f"{INTRODUCTION}First."
    assert len(house.provider.calls) == 3
    await house.complete(user("y" * 1500), **more)
    assert f"{INTRODUCTION}First." in house.provider.calls[3].messages[1].text
    assert "user: 1 xxx" not in house.provider.calls[3].messages[1].text
    assert house.last(ContextShortened).summary == "Second."


async def test_without_a_summary_the_oldest_turns_are_left_out_all_the_same():
    house = House(
        providers=[FakeProvider("fake"), FakeProvider("broken", Overloaded("busy"))],
        handlers=[FitContext({"mode": "summarise", "summary_model": "broken/x"})],
    )
    await house.complete(*turns(*range(1, 11)), user("now"), **SMALL)
    event = house.last(ContextShortened)
    assert (event.mode, event.summary, event.summary_completion_id) == ("trimmed", "", None)


async def test_a_budget_holds_for_what_is_sent_and_for_the_summary():
    house = house_with(answer("Short."), answer("Fine."), mode="summarise", summary_model="fake/other")
    await house.budget("100")
    await house.complete(*turns(*range(1, 11)), user("now"), **SMALL)
    requests = [one.event for one in house.conversations.events if isinstance(one.event, CompletionRequested)]
    assert [request.hold_usd is not None for request in requests] == [True, True]
    whole = house_with()
    await whole.budget("100")
    await whole.complete(*turns(*range(1, 11)), user("now"), **{**SMALL, "model": "fake/other"})
    assert requests[1].hold_usd < whole.last(CompletionRequested).hold_usd


async def test_the_wait_for_a_summary_is_no_time_of_ours():
    house = house_with(answer("Short."), answer("Fine."), mode="summarise", summary_model="fake/other")
    reply = await house.complete(*turns(*range(1, 11)), user("now"), **SMALL)
    assert reply.upstream >= 0


@pytest.mark.parametrize("options", [{"mode": "summarise"}, {"windows": {"a/b": 0}}, {"mode": "cut"}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigurationError, match="The options of the handler fit_context"):
        FitContext(options)


ROLES = st.lists(st.sampled_from(["user", "assistant", "system", "call"]), min_size=1, max_size=15)


@given(ROLES, st.integers(0, 200))
def test_no_cut_parts_what_belongs_together_or_leaves_out_what_stands(roles, room):
    messages = []
    for number, role in enumerate(roles):
        if role == "call":
            messages.append(Message("assistant", (ToolCallPart(str(number), "f", "{}"),)))
            messages.append(Message("tool", (ToolResultPart(str(number), "result"),)))
        else:
            messages.append(Message(role, (TextPart("some words"),)))
    first = newest_from(messages, room)
    kept = without(messages, left_out(messages, first), [])
    calls = {call.id for message in kept for call in message.tool_calls}
    results = {part.tool_call_id for message in kept for part in message.parts if isinstance(part, ToolResultPart)}
    assert calls == results
    assert {"system"} >= {message.role for message in messages[:first]} & {"system"}
    assert sum(message.role == "system" for message in kept) == roles.count("system")
    standing = [message for message in kept if message.role == "system"]
    assert len(kept) > len(standing) or set(roles) == {"system"}
