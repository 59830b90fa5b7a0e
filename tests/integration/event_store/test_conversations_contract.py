"""What every store of conversations does, in memory as in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import Context
from send2llm.application.ports import Conversations
from send2llm.application.time_travel import ConversationLog
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import ConversationErased
from send2llm.domain.errors import (
    ConversationIsErased,
    ConversationNotErasable,
    ConversationNotFound,
    StaleConversation,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import ERASED
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.text_keys import TextKeys, UnreadableText
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.testing.clock import START, FakeClock, SequentialIdentifiers
from send2llm.testing.conversation_stories import (
    answered,
    asked,
    assistant,
    completion,
    failed,
    interrupted,
    user,
)
from send2llm.testing.conversations import InMemoryConversations
from send2llm.testing.event_store import InMemoryEventStore

CONTEXT = Context(correlation_id=UUID(int=1), causation_id=UUID(int=2), actor="ann", tenant="acme", trace_id="t")


@dataclass
class Store:
    """A store under test, and the log of what it stored."""

    conversations: Conversations
    log: ConversationLog
    another: Conversations
    """The same store, as another process sees it."""
    encrypts: bool
    lose_key: Callable[[str], object]
    """Deletes the stored key of a stream, as nobody should."""


@asynccontextmanager
async def in_memory(request: pytest.FixtureRequest, keys: TextKeys | None = None) -> AsyncIterator[Store]:
    conversations = InMemoryConversations(store=InMemoryEventStore(keys=keys))
    lose_key = conversations.store.lose_key
    yield Store(conversations, conversations, conversations, encrypts=keys is not None, lose_key=lose_key)


@asynccontextmanager
async def postgresql(request: pytest.FixtureRequest, keys: TextKeys | None = None) -> AsyncIterator[Store]:
    make_recorder, database = request.getfixturevalue("make_recorder"), request.getfixturevalue("database")
    codec, clock, identifiers = EventCodec(EventRegistry.default(), keys), FakeClock(), SequentialIdentifiers(0xE000)
    async with AsyncConnectionPool(database.dsn, kwargs={"autocommit": True}, open=False) as pool:
        one, other = (EventSourcedConversations(make_recorder(), pool, codec, clock, identifiers) for _ in range(2))

        def lose_key(stream: str) -> None:
            with psycopg.connect(database.dsn) as connection:
                connection.execute("DELETE FROM conversation_keys WHERE originator_id = %s", [stream])

        yield Store(one, EventLog(pool, codec), other, encrypts=keys is not None, lose_key=lose_key)


@pytest.fixture(params=[in_memory, postgresql], ids=lambda param: param.__name__)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["encrypted", "in plain"])
async def store(request: pytest.FixtureRequest, kind: Any) -> AsyncIterator[Store]:
    keys = TextKeys.generate() if request.param == "encrypted" else None
    async with kind(request, keys) as store:
        yield store


async def begun(store: Store, context: Context = CONTEXT) -> Conversation:
    """A stored conversation that waits for its first answer."""
    conversation = Conversation.start(uuid4())
    conversation.add_messages([user("Hi")])
    conversation.request_completion(asked())
    await store.conversations.save(conversation, context)
    return conversation


async def one_turn(store: Store, context: Context = CONTEXT, text: str = "Hello") -> Conversation:
    """A stored conversation with one answer."""
    conversation = await begun(store, context)
    conversation.receive_completion(answered(text))
    await store.conversations.save(conversation, context)
    return conversation


class TestLoading:
    async def test_gives_what_was_saved(self, store):
        saved = await one_turn(store)
        for conversations in (store.conversations, store.another):
            loaded = await conversations.load(saved.id)
            assert (loaded.version, loaded.messages, loaded.digest) == (saved.version, saved.messages, saved.digest)
            assert loaded.ending(completion()) == saved.ending(completion())

    @pytest.mark.parametrize("fresh", [False, True])
    async def test_unknown(self, store, fresh):
        with pytest.raises(ConversationNotFound):
            await store.conversations.load(uuid4(), fresh=fresh)

    async def test_gives_a_conversation_of_ones_own(self, store):
        saved = await one_turn(store)
        mine = await store.conversations.load(saved.id)
        mine.close()
        assert not (await store.conversations.load(saved.id)).closed

    async def test_saved_conversations_stay_their_owners(self, store):
        saved = await one_turn(store)
        saved.add_messages([user("not saved")])
        assert len((await store.conversations.load(saved.id)).messages) == 2

    async def test_fresh_knows_what_others_stored(self, store):
        saved = await one_turn(store)
        elsewhere = await store.another.load(saved.id)
        elsewhere.add_messages([user("More")])
        elsewhere.request_completion(asked(2))
        await store.another.save(elsewhere, CONTEXT)
        loaded = await store.conversations.load(saved.id, fresh=True)
        assert loaded.awaited == completion(2)
        assert loaded.digest == elsewhere.digest


class TestSaving:
    async def test_positions_grow(self, store):
        conversation = await begun(store)
        conversation.receive_completion(answered("Hello"))
        assert await store.conversations.save(conversation, CONTEXT) == 4

    async def test_nothing_new_stores_nothing(self, store):
        conversation = await one_turn(store)
        assert await store.conversations.save(conversation, CONTEXT) == 0
        assert len(await store.log.events_of(conversation.id)) == 4

    async def test_an_existing_id(self, store):
        saved = await one_turn(store)
        with pytest.raises(StaleConversation):
            await store.conversations.save(Conversation.start(saved.id), CONTEXT)

    async def test_the_second_of_two_is_stale_and_nothing_of_it_is_stored(self, store):
        saved = await one_turn(store)
        first, second = await store.conversations.load(saved.id), await store.another.load(saved.id)
        first.close()
        await store.conversations.save(first, CONTEXT)
        second.add_messages([user("a"), user("b")])
        with pytest.raises(StaleConversation):
            await store.another.save(second, CONTEXT)
        assert len(await store.log.events_of(saved.id)) == 5

    async def test_after_a_conflict_the_next_load_knows_the_winner(self, store):
        saved = await one_turn(store)
        first, second = await store.conversations.load(saved.id), await store.another.load(saved.id)
        first.close()
        await store.conversations.save(first, CONTEXT)
        second.add_messages([user("a")])
        with pytest.raises(StaleConversation):
            await store.another.save(second, CONTEXT)
        assert (await store.another.load(saved.id)).closed

    async def test_of_many_at_once_one_wins(self, store):
        saved = await one_turn(store)
        rivals = [await store.conversations.load(saved.id) for _ in range(8)]
        for number, rival in enumerate(rivals):
            rival.add_messages([user(str(number))])
        outcomes = await asyncio.gather(
            *(store.conversations.save(rival, CONTEXT) for rival in rivals), return_exceptions=True
        )
        assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, StaleConversation) for outcome in outcomes) == 7
        assert (await store.conversations.load(saved.id)).version == 5

    async def test_events_carry_who_when_and_why(self, store):
        conversation = await one_turn(store)
        events = await store.log.events_of(conversation.id)
        assert [event.version for event in events] == [1, 2, 3, 4]
        assert [event.position for event in events] == [1, 2, 3, 4]
        assert events[3].topic == "conversation.completion_received"
        assert events[3].event == answered("Hello")
        assert len({event.metadata.event_id for event in events}) == 4
        for event in events:
            assert event.stream == f"conversation-{conversation.id}"
            assert event.metadata == replace(
                event.metadata,
                occurred_at=START,
                correlation_id=UUID(int=1),
                causation_id=UUID(int=2),
                actor="ann",
                tenant="acme",
                trace_id="t",
            )

    async def test_any_text_can_be_stored(self, store):
        conversation = Conversation.start(uuid4(), labels={"\x00": "\ud83d"})
        conversation.add_messages([user("NUL \x00, half a pair \ud83d, a noncharacter \ufdd0")])
        await store.conversations.save(conversation, CONTEXT)
        loaded = await store.another.load(conversation.id)
        assert (loaded.messages, loaded.labels) == (conversation.messages, conversation.labels)

    async def test_a_caller_who_leaves_does_not_take_it_back(self, store):
        conversation = Conversation.start(uuid4())
        saving = asyncio.create_task(store.conversations.save(conversation, CONTEXT))
        await asyncio.sleep(0)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
        await store.conversations.save(Conversation.start(uuid4()), CONTEXT)  # what came before it is stored by then
        with pytest.raises(StaleConversation):
            await store.another.save(Conversation.start(conversation.id), CONTEXT)
        assert (await store.conversations.load(conversation.id)).version == 1


class TestFinding:
    async def test_by_the_whole_transcript(self, store):
        conversation = await one_turn(store)
        assert await store.conversations.find([conversation.digest], "acme") == conversation.id
        assert await store.another.find([conversation.digest], "acme") == conversation.id

    async def test_not_while_an_answer_is_awaited(self, store):
        conversation = await begun(store)
        assert await store.conversations.find([conversation.digest], "acme") is None

    @pytest.mark.parametrize("ending", [failed(), interrupted()], ids=["failed", "interrupted"])
    async def test_also_when_the_answer_never_came(self, store, ending):
        conversation = await begun(store)
        end = conversation.fail_completion if ending == failed() else conversation.interrupt_completion
        end(ending)
        await store.conversations.save(conversation, CONTEXT)
        assert await store.conversations.find([conversation.digest], "acme") == conversation.id

    async def test_no_longer_by_what_was_the_whole_before(self, store):
        conversation = await one_turn(store)
        before = conversation.digest
        conversation.add_messages([user("More")])
        conversation.request_completion(asked(2))
        conversation.receive_completion(answered("Yes", 2))
        await store.conversations.save(conversation, CONTEXT)
        assert await store.conversations.find([before], "acme") is None
        assert await store.conversations.find([conversation.digest], "acme") == conversation.id

    async def test_tenants_never_meet(self, store):
        theirs = await one_turn(store, replace(CONTEXT, tenant="other"))
        assert await store.conversations.find([theirs.digest], "acme") is None
        assert await store.conversations.find([theirs.digest], "other") == theirs.id

    async def test_it_is_known_whose_a_conversation_is(self, store):
        ours, theirs = await one_turn(store), await one_turn(store, replace(CONTEXT, tenant="other"))
        for _ in range(2):
            assert await store.conversations.tenant_of(ours.id) == "acme"
            assert await store.another.tenant_of(theirs.id) == "other"
        assert await store.conversations.tenant_of(uuid4()) is None

    async def test_the_last_of_several(self, store):
        first, second = await one_turn(store), await one_turn(store)
        assert first.digest == second.digest
        assert await store.conversations.find([first.digest], "acme") == second.id

    async def test_an_earlier_digest_goes_first(self, store):
        wanted, later = await one_turn(store, text="one"), await one_turn(store, text="two")
        assert await store.conversations.find([b"?" * 16, wanted.digest, later.digest], "acme") == wanted.id

    async def test_never_a_closed_one(self, store):
        conversation = await one_turn(store)
        conversation.close()
        await store.conversations.save(conversation, CONTEXT)
        assert await store.conversations.find([conversation.digest], "acme") is None

    async def test_nothing(self, store):
        await one_turn(store)
        assert await store.conversations.find([], "acme") is None

    async def test_a_transcript_that_was_brought_along(self, store):
        conversation = Conversation.start(uuid4())
        conversation.add_messages([user("Hi"), assistant("Hello"), user("More")])
        conversation.request_completion(asked())
        conversation.receive_completion(answered("Yes"))
        await store.conversations.save(conversation, CONTEXT)
        assert await store.conversations.find([conversation.digest], "acme") == conversation.id


class TestErasing:
    @pytest.fixture
    async def store(self, request: pytest.FixtureRequest, kind: Any) -> AsyncIterator[Store]:
        async with kind(request, TextKeys.generate()) as store:
            yield store

    async def erased(self, store: Store) -> Conversation:
        conversation = await one_turn(store)
        conversation.give_feedback(completion(), Decimal(1), "so kind")
        conversation.erase("asked for")
        await store.conversations.save(conversation, CONTEXT)
        return conversation

    async def test_nobody_reads_what_was_said(self, store):
        erased = await self.erased(store)
        for conversations in (store.conversations, store.another):
            loaded = await conversations.load(erased.id, fresh=True)
            assert (loaded.erased, loaded.closed) == (True, True)
            assert [message.parts for message in loaded.messages] == [(ERASED,), (ERASED,)]
            assert [message.role for message in loaded.messages] == ["user", "assistant"]
        events = await store.log.events_of(erased.id)
        told = repr([recorded.event for recorded in events])
        assert not any(word in told for word in ("'Hi'", "Hello", "so kind"))
        assert events[-1].event == ConversationErased(reason="asked for")

    async def test_the_books_stay(self, store):
        before = await one_turn(store)
        kept = before.ending(completion()).event
        before.erase()
        await store.conversations.save(before, CONTEXT)
        after = (await store.another.load(before.id)).ending(completion()).event
        assert replace(after, answers=()) == replace(kept, answers=())
        assert [answer.finish_reason for answer in after.answers] == [answer.finish_reason for answer in kept.answers]

    async def test_it_is_not_found_by_what_was_said(self, store):
        erased = await self.erased(store)
        assert await store.another.find([erased.digest], "acme") is None

    async def test_who_has_not_heard_of_it_can_add_nothing(self, store):
        conversation = await one_turn(store)
        elsewhere = await store.another.load(conversation.id)
        conversation.erase()
        await store.conversations.save(conversation, CONTEXT)
        elsewhere.add_messages([user("More")])
        with pytest.raises(StaleConversation):
            await store.another.save(elsewhere, CONTEXT)
        with pytest.raises(ConversationIsErased):
            (await store.another.load(conversation.id)).add_messages([user("More")])

    async def test_others_keep_their_texts(self, store):
        other = await one_turn(store, text="Stays")
        await self.erased(store)
        assert (await store.another.load(other.id)).messages[-1].text == "Stays"

    async def test_what_was_said_in_plain_stays_and_so_says_the_error(self, kind, request):
        async with kind(request) as store:
            conversation = await one_turn(store)
            conversation.erase()
            with pytest.raises(ConversationNotErasable, match="event 2 holds text"):
                await store.conversations.save(conversation, CONTEXT)
            assert not (await store.another.load(conversation.id, fresh=True)).erased

    async def test_what_says_nothing_can_be_erased_without_a_key(self, kind, request):
        async with kind(request) as store:
            conversation = Conversation.start(uuid4())
            await store.conversations.save(conversation, CONTEXT)
            conversation.erase()
            await store.conversations.save(conversation, CONTEXT)
            assert (await store.another.load(conversation.id)).erased


class TestIdempotencyKeys:
    def claimed_by(self, conversation: Conversation, number: int = 1) -> IdempotencyKeyClaimed:
        return IdempotencyKeyClaimed(
            conversation_id=conversation.id, completion_id=completion(number), request_digest="ab"
        )

    async def test_unknown(self, store):
        claim = await store.conversations.claim("key", "acme")
        assert (claim.key, claim.version, claim.event) == ("key", 0, None)

    async def test_claimed_together_with_the_intent(self, store):
        conversation = Conversation.start(uuid4())
        claimed = self.claimed_by(conversation)
        claim = await store.conversations.claim("key", "acme")
        assert await store.conversations.save(conversation, CONTEXT, claim=(claim, claimed)) == 2
        again = await store.another.claim("key", "acme")
        assert (again.version, again.event) == (1, claimed)

    async def test_tenants_have_keys_of_their_own(self, store):
        conversation = Conversation.start(uuid4())
        claim = await store.conversations.claim("key", "acme")
        await store.conversations.save(conversation, CONTEXT, claim=(claim, self.claimed_by(conversation)))
        assert (await store.conversations.claim("key", "other")).version == 0

    async def test_the_loser_of_a_race_stores_nothing_at_all(self, store):
        claim = await store.conversations.claim("key", "acme")
        winner, loser = Conversation.start(uuid4()), Conversation.start(uuid4())
        await store.conversations.save(winner, CONTEXT, claim=(claim, self.claimed_by(winner)))
        with pytest.raises(StaleConversation):
            await store.another.save(loser, CONTEXT, claim=(claim, self.claimed_by(loser)))
        assert await store.log.events_of(loser.id) == []
        assert (await store.another.claim("key", "acme")).event == self.claimed_by(winner)

    async def test_a_stale_conversation_claims_no_key(self, store):
        saved = await one_turn(store)
        claim = await store.conversations.claim("key", "acme")
        with pytest.raises(StaleConversation):
            await store.conversations.save(Conversation.start(saved.id), CONTEXT, claim=(claim, self.claimed_by(saved)))
        assert (await store.conversations.claim("key", "acme")).version == 0

    async def test_can_be_claimed_anew(self, store):
        conversation = Conversation.start(uuid4())
        claim = await store.conversations.claim("key", "acme")
        await store.conversations.save(conversation, CONTEXT, claim=(claim, self.claimed_by(conversation)))
        conversation.add_messages([user("Again")])
        claim = await store.conversations.claim("key", "acme")
        await store.conversations.save(conversation, CONTEXT, claim=(claim, self.claimed_by(conversation, 2)))
        assert (await store.conversations.claim("key", "acme")).event == self.claimed_by(conversation, 2)


class TestALostKey:
    """It is not an erasure: what was said may come back with a backup, and nothing is said on top of it."""

    @pytest.fixture
    async def store(self, request: pytest.FixtureRequest, kind: Any) -> AsyncIterator[Store]:
        async with kind(request, TextKeys.generate()) as store:
            yield store

    async def lost(self, store: Store) -> Conversation:
        conversation = await one_turn(store)
        store.lose_key(conversation_stream(conversation.id))
        return conversation

    async def test_nobody_takes_the_texts_for_erased(self, store):
        lost = await self.lost(store)
        with pytest.raises(UnreadableText, match="not stored any more"):
            await store.log.events_of(lost.id)
        with pytest.raises(UnreadableText, match="not stored any more"):
            await store.another.load(lost.id, fresh=True)

    async def test_nothing_that_is_said_is_stored(self, store):
        lost = await self.lost(store)
        lost.add_messages([user("More")])
        with pytest.raises((StaleConversation, UnreadableText)):  # whoever knows it from before, and hears of it now
            await store.conversations.save(lost, CONTEXT)
        for conversations in (store.conversations, store.another):
            again = await conversations.load(lost.id, texts=False)
            again.add_messages([user("More")])
            with pytest.raises(UnreadableText, match="not stored any more"):
                await conversations.save(again, CONTEXT)
        assert (await store.another.load(lost.id, texts=False)).version == 4

    async def test_what_says_nothing_is_stored_all_the_same(self, store):
        conversation = await begun(store)
        store.lose_key(conversation_stream(conversation.id))
        for conversations in (store.another, store.conversations):
            stored = await conversations.load(conversation.id, texts=False)
            stored.give_feedback(None, Decimal(1))
            await conversations.save(stored, CONTEXT)
        ended = await store.conversations.load(conversation.id, texts=False)
        ended.interrupt_completion(interrupted(reason="process_gone"))
        await store.conversations.save(ended, CONTEXT)
        assert (await store.another.load(conversation.id, texts=False)).awaited is None

    async def test_it_can_be_erased(self, store):
        lost = await self.lost(store)
        unread = await store.conversations.load(lost.id, texts=False)
        unread.erase("the backup is gone, too")
        await store.conversations.save(unread, CONTEXT)
        for conversations in (store.conversations, store.another):
            loaded = await conversations.load(lost.id, fresh=True)
            assert (loaded.erased, loaded.messages[0].parts) == (True, (ERASED,))

    async def test_who_reads_without_texts_keeps_them_for_nobody_else(self, store):
        conversation = await one_turn(store)
        unread = await store.conversations.load(conversation.id, texts=False)
        assert unread.messages[-1].parts == (ERASED,)
        unread.give_feedback(None, Decimal(1))
        await store.conversations.save(unread, CONTEXT)
        assert (await store.conversations.load(conversation.id)).messages[-1].text == "Hello"
