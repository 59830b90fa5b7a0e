"""A conversation as of a version or a time."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from send2llm.application.context import Context
from send2llm.application.moments import Moments
from send2llm.application.time_travel import ConversationAsOf
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import ConversationNotFound, InvalidRequest
from send2llm.testing.clock import START, FakeClock
from send2llm.testing.conversations import InMemoryConversations
from send2llm.testing.event_writer import received, requested, said


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def conversations(clock: FakeClock) -> InMemoryConversations:
    return InMemoryConversations(clock)


@pytest.fixture
async def conversation_id(conversations: InMemoryConversations, clock: FakeClock) -> UUID:
    """Started at once, asked after 10 s, answered after 20 s."""
    conversation, completion_id = Conversation.start(uuid4()), uuid4()
    context = Context(uuid4(), tenant="acme")
    await conversations.save(conversation, context)
    clock.advance(10)
    conversation.add_messages([said("hello").message])
    conversation.request_completion(requested(completion_id))
    await conversations.save(conversation, context)
    clock.advance(10)
    conversation.receive_completion(received(completion_id))
    await conversations.save(conversation, context)
    return conversation.id


@pytest.fixture
def as_of(conversations: InMemoryConversations) -> ConversationAsOf:
    return ConversationAsOf(conversations)


@pytest.mark.parametrize(("version", "said", "known"), [(1, 0, 1), (2, 1, 2), (3, 1, 3), (4, 2, 4)])
async def test_a_version(as_of: ConversationAsOf, conversation_id: UUID, version: int, said: int, known: int) -> None:
    then = await as_of.version(conversation_id, version)
    assert (len(then.conversation.messages), then.conversation.version, then.last.version) == (said, known, known)


async def test_a_version_that_has_not_come_yet(as_of: ConversationAsOf, conversation_id: UUID) -> None:
    with pytest.raises(InvalidRequest, match="has only 4 versions"):
        await as_of.version(conversation_id, 5)


@pytest.fixture
def moments(conversations: InMemoryConversations, clock: FakeClock) -> Moments:
    return Moments(conversations, clock)


@pytest.mark.parametrize(("seconds", "version"), [(0, 1), (9.9, 1), (10, 3), (19.9, 3), (20, 4), (80, 4)])
async def test_a_time(
    as_of: ConversationAsOf, moments: Moments, clock: FakeClock, conversation_id: UUID, seconds: float, version: int
) -> None:
    clock.advance(60)
    then = await as_of.moment(conversation_id, await moments.time(START + timedelta(seconds=seconds)))
    assert then.conversation.version == version
    assert (then.conversation.awaited is not None) == (version == 3)


@pytest.mark.parametrize("position", [1, 2, 3, 4])
async def test_a_position(as_of: ConversationAsOf, moments: Moments, conversation_id: UUID, position: int) -> None:
    then = await as_of.moment(conversation_id, await moments.position(position))
    assert (then.conversation.version, then.last.position) == (position, position)


async def test_now(as_of: ConversationAsOf, conversation_id: UUID) -> None:
    assert (await as_of.now(conversation_id, tenant="acme")).conversation.messages[-1].role == "assistant"


async def test_what_is_not_or_not_yet_or_not_yours(
    as_of: ConversationAsOf, moments: Moments, conversation_id: UUID
) -> None:
    for ask in (
        as_of.now(uuid4()),
        as_of.now(conversation_id, tenant="other"),
        as_of.version(conversation_id, 0),
        as_of.moment(conversation_id, await moments.time(START - timedelta(seconds=1))),
        as_of.moment(conversation_id, await moments.position(0)),
        as_of.moment(conversation_id, await moments.position(4), tenant="other"),
    ):
        with pytest.raises(ConversationNotFound):
            await ask
