"""Reading the event log."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import Context
from send2llm.domain.conversation import Conversation
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.reading import DECODED_ON_THE_LOOP
from send2llm.infrastructure.event_store.topics import EventRegistry, UnknownTopic
from send2llm.testing.clock import START, FakeClock, SequentialIdentifiers
from send2llm.testing.conversation_stories import user

CONTEXT = Context(correlation_id=UUID(int=1))
CODEC = EventCodec(EventRegistry.default())


@pytest.fixture
async def pool(database) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(database.dsn, kwargs={"autocommit": True}, open=False) as pool:
        yield pool


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def conversations(recorder, pool, clock) -> EventSourcedConversations:
    return EventSourcedConversations(recorder, pool, CODEC, clock, SequentialIdentifiers())


@pytest.fixture
def log(pool) -> EventLog:
    return EventLog(pool, CODEC)


async def conversation_with(conversations: EventSourcedConversations, messages: int) -> UUID:
    conversation = Conversation.start(uuid4())
    conversation.add_messages([user(str(number)) for number in range(messages)])
    await conversations.save(conversation, CONTEXT)
    return conversation.id


async def test_an_empty_log(log, recorder):
    assert await log.head() == 0
    assert await log.read(0, 10) == []
    assert await log.events_of(uuid4()) == []
    assert await log.last_of("nothing") is None


async def test_reads_page_by_page_in_order(log, conversations):
    for _ in range(3):
        await conversation_with(conversations, 2)
    assert await log.head() == 9
    seen, after = [], 0
    while page := await log.read(after, 4):
        seen += page
        after = page[-1].position
    assert [event.position for event in seen] == list(range(1, 10))


async def test_a_stream_up_to_a_version(log, conversations):
    conversation_id = await conversation_with(conversations, 5)
    events = await log.stream(f"conversation-{conversation_id}", up_to_version=3)
    assert [event.version for event in events] == [1, 2, 3]


async def test_a_stream_up_to_a_moment(log, conversations, clock):
    conversation_id = await conversation_with(conversations, 1)
    clock.advance(60)
    conversation = await conversations.load(conversation_id)
    conversation.close()
    await conversations.save(conversation, CONTEXT)
    stream = f"conversation-{conversation_id}"
    assert len(await log.stream(stream, at=START - timedelta(seconds=1))) == 0
    assert len(await log.stream(stream, at=START)) == 2
    assert len(await log.stream(stream, at=START + timedelta(seconds=59))) == 2
    assert len(await log.stream(stream, at=START + timedelta(seconds=60))) == 3


async def test_long_reads_are_decoded_off_the_loop_and_are_no_different(log, conversations):
    conversation_id = await conversation_with(conversations, DECODED_ON_THE_LOOP + 50)
    events = await log.events_of(conversation_id)
    assert [event.version for event in events] == list(range(1, DECODED_ON_THE_LOOP + 52))


async def test_events_of_others_are_named(log, recorder, new_events):
    recorder.insert_events(new_events(1, topic="ticket.opened"))
    with pytest.raises(UnknownTopic, match=r"ticket\.opened"):
        await log.read(0, 10)
