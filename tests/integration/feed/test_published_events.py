"""The log as consumers outside get it: nothing is passed by, nothing comes twice, and nobody is held up."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.application.published_events import PublishedPage, Wanted
from send2llm.domain.conversation_events import ConversationStarted
from send2llm.domain.errors import InvalidRequest, UnreadableEvent
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.feed.documents import EventDocuments
from send2llm.infrastructure.feed.pages import EventPages
from send2llm.infrastructure.feed.published import PostgresPublishedEvents
from send2llm.infrastructure.feed.tail import TailLimits
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, said, turn
from send2llm.testing.eventually import eventually_async

ALL = Wanted()
MESSAGES = Wanted(frozenset({"conversation.message_added"}))
Make = Callable[..., PostgresPublishedEvents]


@pytest.fixture
def make(migrated: ConnectionInfo, pool: AsyncConnectionPool) -> Make:
    documents = EventDocuments(EventCodec(EventRegistry.default()))

    def make(look_through: int = 10_000, quiet: float = 15.0, **limits: float) -> PostgresPublishedEvents:
        pages = EventPages(pool, documents, look_through)
        return PostgresPublishedEvents(pages, migrated.dsn, quiet=quiet, limits=TailLimits(**limits))  # type: ignore[arg-type]

    return make


@pytest.fixture
def published(make: Make) -> PostgresPublishedEvents:
    return make()


class Follower:
    """Takes what comes, and remembers where it is."""

    def __init__(self, published: PostgresPublishedEvents, after: int = 0, wanted: Wanted = ALL) -> None:
        self._published = published
        self._wanted = wanted
        self.seen: list[int] = []
        self.reached = after

    async def take(self, pages: int | None = None) -> None:
        """Follow from where it is, for so many pages or for ever."""
        async with aclosing(self._published.follow(self.reached, self._wanted)) as following:
            async for page in following:
                self.seen += [event.position for event in page.events]
                self.reached = page.reached
                if pages is not None:
                    pages -= 1
                    if not pages:
                        return

    async def has(self, number: int) -> None:
        await eventually_async(lambda: self._has(number))

    async def _has(self, number: int) -> bool:
        return len(self.seen) >= number


@asynccontextmanager
async def taking(*followers: Follower) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(follower.take()) for follower in followers]
    try:
        yield
    finally:
        await end_tasks(*tasks)
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError | None):
                raise ended


async def read_all(published: PostgresPublishedEvents, limit: int, wanted: Wanted) -> list[PublishedPage]:
    pages, after = [], 0
    while (page := await published.page(after, limit, wanted)).events:
        pages.append(page)
        after = page.reached
    return pages


def positions(pages: list[PublishedPage]) -> list[int]:
    return [event.position for page in pages for event in page.events]


async def test_pages_come_one_after_the_other(published, writer) -> None:
    assert await published.page(0, 10, ALL) == PublishedPage((), 0)
    stored = [position for _ in range(7) for position in writer.write(uuid4(), *turn("hello"))]
    pages = await read_all(published, 4, ALL)
    assert positions(pages) == stored
    assert [len(page.events) for page in pages] == [4, 4, 4, 4, 4, 1]
    assert [page.reached for page in pages] == [4, 8, 12, 16, 20, 21]


async def test_a_document_is_the_event(published, writer) -> None:
    conversation = uuid4()
    writer.write(conversation, said("caf\u00e9 \U0001f600"), tenant="acme")
    ((event,),) = [page.events for page in await read_all(published, 10, ALL)]
    document = orjson.loads(event.document)
    assert (event.position, event.stream, event.version) == (1, f"conversation-{conversation}", 1)
    assert (event.topic, event.tenant, event.schema_version) == ("conversation.message_added", "acme", 1)
    assert document["data"]["message"]["parts"] == [{"type": "text", "text": "caf\u00e9 \U0001f600"}]
    assert UUID(document["event_id"]) == UUID(event.event_id)
    assert document["tenant"] == "acme"


async def test_half_of_a_surrogate_pair_is_told_as_json_tells_it(published, writer) -> None:
    writer.write(uuid4(), said("cut \ud83d"))
    ((event,),) = [page.events for page in await read_all(published, 10, ALL)]
    assert b'"cut \\ud83d"' in event.document


async def test_what_nobody_here_knows_is_told_as_it_was_stored(published, writer, migrated) -> None:
    state = b'{"meta": {"event_id": "e", "occurred_at": "o", "correlation_id": "c", "actor": "a", "tenant": "t",'
    state += b' "schema_version": 7}, "data": {"new": 1}}'
    with psycopg.connect(migrated.dsn) as connection:
        connection.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " VALUES ('ticket-1', 1, 'ticket.opened', %s)",
            [state],
        )
    ((event,),) = [page.events for page in await read_all(published, 10, ALL)]
    assert (event.topic, event.schema_version) == ("ticket.opened", 7)
    assert orjson.loads(event.document)["data"] == {"new": 1}


async def test_rare_events_are_found_however_far_away(make, writer) -> None:
    published = make(look_through=5)
    for number in range(40):
        writer.write(uuid4(), *([ConversationStarted(labels={})] if number in (20, 39) else turn("hello")))
    rare = Wanted(frozenset({"conversation.started"}))
    assert positions(await read_all(published, 1, rare)) == [61, 116]
    page = await published.page(116, 10, rare)
    assert (page.events, page.reached) == ([], 116) or page.reached == await published.head()
    follower = Follower(published, wanted=rare)
    async with taking(follower):
        await follower.has(2)
    assert follower.seen == [61, 116]


async def test_several_topics_a_tenant_and_a_stream(published, writer) -> None:
    conversations = [uuid4() for _ in range(6)]
    for _ in range(3):
        for number, conversation in enumerate(conversations):
            writer.write(conversation, *turn("hello"), tenant="acme" if number == 2 else "other")
    two = Wanted(frozenset({"conversation.message_added", "conversation.completion_received"}))
    assert len(positions(await read_all(published, 5, two))) == 36
    acme = positions(await read_all(published, 2, Wanted(tenant="acme")))
    assert acme == [7, 8, 9, 25, 26, 27, 43, 44, 45]
    stream = f"conversation-{conversations[2]}"
    for limit in (1, 2, 9, 10):
        assert positions(await read_all(published, limit, Wanted(stream=stream))) == acme
        assert positions(await read_all(published, limit, Wanted(stream=stream, tenant="other"))) == []
    both = Wanted(frozenset({"conversation.message_added"}), "acme", stream)
    assert positions(await read_all(published, 100, both)) == [7, 25, 43]
    followers = [Follower(published, wanted=wanted) for wanted in (two, Wanted(tenant="acme"), both)]
    async with taking(*followers):
        for follower, number in zip(followers, (36, 9, 3), strict=True):
            await follower.has(number)
        writer.write(conversations[2], *turn("again"), tenant="acme")
        for follower, number in zip(followers, (38, 12, 4), strict=True):
            await follower.has(number)
    assert [len(follower.seen) for follower in followers] == [38, 12, 4]


async def test_what_is_stored_while_a_page_of_a_stream_is_read_is_not_passed_by(pool, writer) -> None:
    conversation = uuid4()

    class Busy(EventPages):
        """Something is stored before and after each look at the end of the log."""

        async def head(self) -> int:
            writer.write(conversation, said("before"))
            head = await super().head()
            writer.write(conversation, said("after"))
            return head

    pages = Busy(pool, EventDocuments(EventCodec(EventRegistry.default())))
    wanted = Wanted(stream=f"conversation-{conversation}")
    first = await pages.read(0, 100, wanted)
    second = await pages.read(first.reached, 100, wanted)
    assert positions([first, second]) == [1, 2, 3, 4]


async def test_large_events_make_small_pages(make, writer) -> None:
    published = make(page_bytes=10_000, kept_bytes=20_000)
    for _ in range(8):
        writer.write(uuid4(), said("x" * 9_000))
    writer.write(uuid4(), said("y" * 50_000))
    follower = Follower(published)
    async with taking(follower):
        await follower.has(9)
        for _ in range(8):
            writer.write(uuid4(), said("x" * 9_000))
        await follower.has(17)
    assert follower.seen == list(range(1, 18))


async def test_all_that_many_writers_store_comes_once_and_in_order(make, migrated) -> None:
    """Followers that come and go, some of them behind what is kept in memory."""
    published = make(kept_events=50, page=20, linger=0.0)
    randomness = random.Random(7)
    writers, calls = 4, 60

    def write() -> None:
        with EventWriter(migrated) as writer:
            for _ in range(calls):
                writer.write(uuid4(), *turn("hello"))

    threads = [threading.Thread(target=write) for _ in range(writers)]
    steady = [Follower(published) for _ in range(3)]
    messages = Follower(published, wanted=MESSAGES)
    restless = Follower(published)
    total = writers * calls * 3
    async with taking(*steady, messages):
        for thread in threads:
            thread.start()
        while len(restless.seen) < total:
            await restless.take(pages=randomness.randint(1, 4))
            await asyncio.sleep(randomness.random() * 0.02)  # so that it falls behind; nothing waits for it
        for follower in steady:
            await follower.has(total)
        await messages.has(total // 3)
    for thread in threads:
        thread.join()
    stored = positions(await read_all(published, 1000, ALL))
    assert len(stored) == total
    for follower in (*steady, restless):
        assert follower.seen == stored
    assert messages.seen == positions(await read_all(published, 1000, MESSAGES))


async def test_an_insert_that_is_slow_to_commit_is_not_passed_by(published, migrated, writer) -> None:
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute(
            """
            CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END $$;
            CREATE TRIGGER dawdle AFTER INSERT ON stored_events FOR EACH STATEMENT EXECUTE FUNCTION dawdle()
            """
        )

    def write() -> None:
        with EventWriter(migrated) as writer:
            for _ in range(10):
                writer.write(uuid4(), said("hello"))

    threads = [threading.Thread(target=write) for _ in range(4)]
    follower = Follower(published)
    async with taking(follower):
        for thread in threads:
            thread.start()
        await follower.has(40)
    for thread in threads:
        thread.join()
    assert follower.seen == positions(await read_all(published, 1000, ALL))


async def test_who_does_not_take_what_comes_holds_nobody_up(make, writer) -> None:
    published = make(kept_events=10, page=5)
    idle = published.follow(0, ALL)
    writer.write(uuid4(), said("first"))
    assert [event.position for event in (await anext(idle)).events] == [1]
    busy = Follower(published)
    async with taking(busy):
        for _ in range(100):
            writer.write(uuid4(), said("hello"))
        await busy.has(101)
    seen = [1]
    async with aclosing(idle):
        while seen[-1] < 101:
            seen += [event.position for event in (await anext(idle)).events]
    assert seen == busy.seen == list(range(1, 102))


async def test_many_followers_have_one_connection_and_none_when_all_have_left(published, migrated, writer) -> None:
    followers = [Follower(published) for _ in range(50)]
    with psycopg.connect(migrated.dsn, autocommit=True) as onlooker:

        async def listening(number: int) -> bool:
            row = onlooker.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'send2llm feed'"
            ).fetchone()
            return row == (number,)

        async with taking(*followers):
            writer.write(uuid4(), said("hello"))
            for follower in followers:
                await follower.has(1)
            assert await listening(1)
        await eventually_async(lambda: listening(0))
        # Whoever comes later is served as the first were.
        late = Follower(published)
        async with taking(late):
            await late.has(1)
            writer.write(uuid4(), said("again"))
            await late.has(2)


async def test_without_a_wake_up_the_timer_serves(make, writer, migrated) -> None:
    published = make(poll=0.05)
    follower = Follower(published)
    with psycopg.connect(migrated.dsn, autocommit=True) as onlooker:
        async with taking(follower):
            writer.write(uuid4(), said("hello"))
            await follower.has(1)
            onlooker.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'send2llm feed'"
            )
            writer.write(uuid4(), said("hello"))
            await follower.has(2)


async def test_silence_is_told_with_how_far_the_log_was_looked_through(make, writer) -> None:
    published = make(quiet=0.02)
    writer.write(uuid4(), *turn("hello"))
    async with aclosing(published.follow(0, Wanted(frozenset({"conversation.closed"})))) as following:
        pages = [await anext(following) for _ in range(3)]
    assert [page.events for page in pages] == [()] * 3
    assert pages[-1].reached == 3


async def test_a_position_beyond_the_end_is_refused(published, writer) -> None:
    last = writer.write(uuid4(), *turn("hello"))[-1]
    for wanted in (ALL, MESSAGES, Wanted(tenant="acme"), Wanted(stream="conversation-x")):
        assert not (await published.page(last, 10, wanted)).events
        with pytest.raises(InvalidRequest, match=f"ends at position {last} so far, before {last + 1}"):
            await published.page(last + 1, 10, wanted)
        with pytest.raises(InvalidRequest, match=f"ends at position {last} so far"):
            await anext(published.follow(last + 1, wanted))


async def test_followers_end_when_the_service_stops(published, writer) -> None:
    writer.write(uuid4(), said("hello"))
    follower = Follower(published)
    task = asyncio.create_task(follower.take())
    await follower.has(1)
    published.close()
    await asyncio.wait_for(task, 5)
    await asyncio.wait_for(Follower(published).take(), 5)


async def test_a_row_that_is_no_event_is_said_to_be_none(published, migrated, writer) -> None:
    follower = Follower(published)
    task = asyncio.create_task(follower.take())
    writer.write(uuid4(), said("hello"))
    await follower.has(1)
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " VALUES ('x', 1, 'x.happened', 'no JSON'); NOTIFY stored_events"
        )
    with pytest.raises(UnreadableEvent):
        await asyncio.wait_for(task, 10)
