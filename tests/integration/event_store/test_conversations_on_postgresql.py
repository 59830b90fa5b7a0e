"""What only the store on PostgreSQL can show: what it reads, what it keeps, and how it fails."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import Context
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import StaleConversation, StoreOverloaded, StoreUnavailable
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversation_cache import ConversationCache
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.reading import Reader
from send2llm.infrastructure.event_store.text_key_rows import rewrap
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.system import SystemClock, TimeOrderedIdentifiers
from send2llm.testing.conversation_stories import answered, asked, user

CONTEXT = Context(correlation_id=UUID(int=1))


@dataclass
class Reads:
    """How much was read from the database."""

    queries: int = 0
    rows: int = 0

    def reset(self) -> None:
        self.queries = self.rows = 0


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, pool: AsyncConnectionPool) -> Reads:
    counted, fetch = Reads(), Reader.fetch

    async def counting(self, query, parameters):
        rows = await fetch(self, query, parameters)
        if self._pool is pool:  # a service of other tests may read in this process, too
            counted.queries += 1
            counted.rows += len(rows)
        return rows

    monkeypatch.setattr(Reader, "fetch", counting)
    return counted


@pytest.fixture
async def pool(database) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(
        database.dsn, kwargs={"autocommit": True}, open=False, min_size=1, timeout=5
    ) as pool:
        yield pool


@pytest.fixture
def make_store(make_recorder, pool):
    def make(
        cache: ConversationCache | None = None, keys: TextKeys | None = None, **options: object
    ) -> EventSourcedConversations:
        codec = EventCodec(EventRegistry.default(), keys)
        recorder = make_recorder(**options)
        return EventSourcedConversations(recorder, pool, codec, SystemClock(), TimeOrderedIdentifiers(), cache)

    return make


async def turn(store: EventSourcedConversations, conversation_id: UUID, number: int) -> None:
    """One turn as the application makes it: load and intent, load and outcome."""
    conversation = await store.load(conversation_id)
    conversation.add_messages([user(f"Question {number}")])
    conversation.request_completion(asked(number))
    await store.save(conversation, CONTEXT)
    conversation = await store.load(conversation_id)
    conversation.receive_completion(answered(f"Answer {number}", number))
    await store.save(conversation, CONTEXT)


async def long_conversation(store: EventSourcedConversations, turns: int) -> UUID:
    """A stored conversation of many turns, in one append."""
    conversation = Conversation.start(uuid4())
    for number in range(1, turns + 1):
        conversation.add_messages([user(f"Question {number}")])
        conversation.request_completion(asked(number))
        conversation.receive_completion(answered(f"Answer {number}", number))
    await store.save(conversation, CONTEXT)
    return conversation.id


class TestTheCostOfATurn:
    async def test_the_thousandth_reads_nothing(self, make_store, reads):
        store = make_store()
        conversation_id = await long_conversation(store, 999)
        reads.reset()
        await turn(store, conversation_id, 1000)
        assert reads == Reads(queries=0, rows=0)

    async def test_no_more_with_encryption(self, make_store, reads):
        store = make_store(keys=TextKeys.generate())
        conversation_id = await long_conversation(store, 9)
        reads.reset()
        await turn(store, conversation_id, 10)
        assert reads == Reads(queries=0, rows=0)

    async def test_after_another_process_only_what_is_new_is_read(self, make_store, reads):
        here, there = make_store(), make_store()
        conversation_id = await long_conversation(here, 500)
        await there.load(conversation_id)
        await turn(there, conversation_id, 501)
        stale = await here.load(conversation_id)
        stale.add_messages([user("I did not know")])
        reads.reset()
        with pytest.raises(StaleConversation):
            await here.save(stale, CONTEXT)
        assert reads == Reads(queries=0, rows=0)
        assert (await here.load(conversation_id)).version == 1 + 501 * 3
        assert reads == Reads(queries=1, rows=3)
        await here.load(conversation_id)
        assert reads == Reads(queries=1, rows=3)

    async def test_fresh_reads_only_what_is_new(self, make_store, reads):
        store = make_store()
        conversation_id = await long_conversation(store, 100)
        reads.reset()
        await store.load(conversation_id, fresh=True)
        assert reads == Reads(queries=1, rows=0)

    async def test_a_cold_load_is_one_query(self, make_store, reads):
        conversation_id = await long_conversation(make_store(), 100)
        reads.reset()
        await make_store().load(conversation_id)
        assert reads == Reads(queries=1, rows=301)

    async def test_what_has_no_room_in_the_cache_is_read_again(self, make_store, reads):
        store = make_store(ConversationCache(max_conversations=1))
        first, second = await long_conversation(store, 1), await long_conversation(store, 1)
        reads.reset()
        await store.load(second)
        assert reads.queries == 0
        await store.load(first)
        assert reads.queries == 1


async def test_keys_may_be_wrapped_anew_meanwhile(make_store, database):
    masters = [bytes([number]) * 32 for number in (1, 2)]
    store = make_store(keys=TextKeys(masters))
    conversation_id = await long_conversation(store, 1)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        assert rewrap(connection, TextKeys(masters[::-1])) == 1
    conversation = await store.load(conversation_id)
    conversation.add_messages([user("Question 2")])
    with pytest.raises(StaleConversation):  # which the application heeds by trying again
        await store.save(conversation, CONTEXT)
    await turn(store, conversation_id, 2)
    alone = make_store(keys=TextKeys(masters[1:]))
    assert [message.text for message in (await alone.load(conversation_id)).messages[2:]] == ["Question 2", "Answer 2"]


async def test_a_cancelled_save_is_remembered_when_it_is_stored(make_store, probe, reads):
    store = make_store()
    conversation = Conversation.start(uuid4())
    await store.save(conversation, CONTEXT)
    conversation.close()
    with probe.table_lock():
        saving = asyncio.create_task(store.save(conversation, CONTEXT))
        await asyncio.to_thread(probe.wait_for_queue)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
    await store.save(Conversation.start(uuid4()), CONTEXT)  # what waited before it is stored by now
    reads.reset()
    assert (await store.load(conversation.id)).closed
    assert reads.queries == 0


class TestTroubles:
    async def test_a_full_queue(self, make_store, probe):
        store = make_store(max_waiting_appends=1)
        with probe.table_lock():
            first = asyncio.create_task(store.save(Conversation.start(uuid4()), CONTEXT))
            await asyncio.to_thread(probe.wait_for_queue)
            second = asyncio.create_task(store.save(Conversation.start(uuid4()), CONTEXT))
            await asyncio.sleep(0)
            with pytest.raises(StoreOverloaded):
                await store.save(Conversation.start(uuid4()), CONTEXT)
        await asyncio.gather(first, second)

    async def test_a_closed_recorder(self, make_store):
        store = make_store()
        store._recorder.close()
        with pytest.raises(StoreUnavailable):
            await store.save(Conversation.start(uuid4()), CONTEXT)

    async def test_connections_that_died_are_replaced(self, make_store, probe, pool):
        store = make_store()
        conversation_id = await long_conversation(store, 1)
        await store.load(conversation_id, fresh=True)
        probe.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        assert (await store.load(conversation_id, fresh=True)).version == 4

    async def test_a_closed_pool(self, make_store, pool):
        store = make_store()
        await pool.close()
        with pytest.raises(StoreUnavailable, match="doctor"):
            await store.load(uuid4())

    async def test_missing_tables(self, make_store, probe):
        store = make_store()
        probe.connection.execute("DROP TABLE conversation_heads")
        with pytest.raises(StoreUnavailable, match="migrate"):
            await store.find([b"x"], "acme")


async def test_states_can_be_read_by_sql(make_store, probe):
    store = make_store()
    conversation = Conversation.start(uuid4(), labels={"nul": "\x00", "half": "\ud83d"})
    conversation.add_messages([user("Hi")])
    conversation.request_completion(asked())
    conversation.receive_completion(answered("Hello"))
    await store.save(conversation, CONTEXT)
    rows = probe.rows(
        "SELECT state #>> '{meta,tenant}', (state #>> '{data,cost_usd}')::numeric, state #>> '{data,labels,nul}' "
        "FROM (SELECT notification_id, convert_from(state, 'UTF8')::jsonb AS state FROM stored_events) AS events "
        "ORDER BY notification_id"
    )
    assert rows[0][2] == "\ufdd00000"
    assert str(rows[3][1]) == "0.0000222"
    assert {row[0] for row in rows} == {"default"}
