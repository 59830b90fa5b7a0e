"""Going on from an earlier answer: what is said when there is none to go on from."""

from uuid import uuid4

import pytest
from house import House, user

from send2llm.domain.continuation import EarlierAnswer
from send2llm.domain.conversation_events import CompletionFailed, CompletionReceived
from send2llm.domain.errors import ConversationNotFound, EarlierAnswerNotFound, RequestRejected
from send2llm.domain.message import Message
from send2llm.handlers import Exchange, Handler, SendMessage
from send2llm.testing.providers import answer


async def test_a_call_that_came_to_no_answer_is_told_by_the_name_that_the_caller_has_for_it() -> None:
    house = House()
    house.provider.script(RequestRejected("no"), answer("Yes."))
    with pytest.raises(RequestRejected) as rejected:
        await house.complete(user("Well?"))
    failed = house.last(CompletionFailed)
    assert rejected.value.conversation_id is not None
    earlier = EarlierAnswer(rejected.value.conversation_id, failed.completion_id, "resp_1")

    with pytest.raises(EarlierAnswerNotFound, match="'resp_1' came to no answer"):
        await house.complete(user("And now?"), after=earlier)


async def test_an_answer_that_was_never_given_is_told_so() -> None:
    house = House()
    house.provider.script(answer("Yes."))
    reply = await house.complete(user("Well?"))
    assert house.last(CompletionReceived)

    for earlier in (EarlierAnswer(reply.conversation_id, uuid4(), "a"), EarlierAnswer(uuid4(), uuid4(), "b")):
        with pytest.raises(EarlierAnswerNotFound, match="was never given here"):
            await house.complete(user("And now?"), after=earlier)


async def test_an_answer_of_another_tenant_was_never_given() -> None:
    theirs = House(tenant="other")
    reply = await theirs.complete(user("Our secret is 42."))
    ours = House(store=theirs.store)
    earlier = EarlierAnswer(reply.conversation_id, reply.completion_id, "resp_1")

    with pytest.raises(EarlierAnswerNotFound, match="'resp_1' was never given here"):
        await ours.complete(user("What is it?"), after=earlier)
    with pytest.raises(ConversationNotFound):
        await ours.complete(user("What is it?"), conversation_id=reply.conversation_id)
    assert ours.provider.calls == []


async def test_handlers_are_told_nothing_of_another_tenants_conversation() -> None:
    theirs = House(tenant="other")
    reply = await theirs.complete(user("Our secret is 42."))
    listening = Listening()
    ours = House(store=theirs.store, handlers=[listening])

    with pytest.raises(ConversationNotFound):
        await ours.complete(user("What is it?"), conversation_id=reply.conversation_id)
    earlier = EarlierAnswer(reply.conversation_id, reply.completion_id, "resp_1")
    with pytest.raises(EarlierAnswerNotFound, match="'resp_1' was never given here"):
        await ours.complete(user("What is it?"), after=earlier)
    assert listening.heard == []


class Listening(Handler):
    """Remembers what was said before."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    async def on_request(self, command: SendMessage, exchange: Exchange) -> SendMessage:
        self.heard += await exchange.said(command)
        return command
