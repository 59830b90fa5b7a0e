"""The relay before a real NATS server: nothing is lost, whoever dies; what is sent again is known by its id."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import nats
import orjson
import psycopg
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, StreamConfig
from nats_server import NatsServer
from sqlalchemy import NullPool, create_engine

from send2llm.bootstrap.followers import build_relay
from send2llm.domain.conversation_events import ConversationStarted
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections import failed_builds
from send2llm.settings import RelaySettings, Settings
from send2llm.testing.event_writer import EventWriter, said, turn
from send2llm.testing.eventually import eventually

HERE = Path(__file__).parent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path) as server:
        yield server


Relaying = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def relaying(migrated: ConnectionInfo, server: NatsServer) -> Relaying:
    @contextmanager
    def relaying(**settings: object) -> Iterator[None]:
        relay = build_relay(
            Settings(database_url=migrated.dsn, relay=RelaySettings(**{"url": server.url, **settings}))  # type: ignore[arg-type]
        )
        assert relay is not None
        stop = threading.Event()
        thread = threading.Thread(target=relay.run, args=(stop,), name="relay")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    return relaying


@pytest.fixture
def position(migrated: ConnectionInfo) -> Iterator[Callable[[], int]]:
    with psycopg.connect(migrated.dsn, autocommit=True) as onlooker:

        def position() -> int:
            row = onlooker.execute("SELECT position FROM projection_checkpoints WHERE name = 'relay_nats'").fetchone()
            return row[0] if row else 0

        yield position


@pytest.fixture
def failure(migrated: ConnectionInfo) -> Iterator[Callable[[], tuple[str | None, int | None]]]:
    """Why the relay does not go on, and at which event."""
    with psycopg.connect(migrated.dsn, autocommit=True) as onlooker:

        def failure() -> tuple[str | None, int | None]:
            row = onlooker.execute(
                "SELECT reason, failed_position FROM projection_checkpoints WHERE name = 'relay_nats'"
            ).fetchone()
            return row or (None, None)

        yield failure


def give_stream(
    server: NatsServer, name: str = "SEND2LLM", subject: str = "send2llm.events.>", **limits: object
) -> None:
    """Make a stream, or change its limits."""

    async def give() -> None:
        client = await nats.connect(server.url)
        try:
            stream = client.jetstream()
            config = StreamConfig(name=name, subjects=[subject], **limits)
            try:
                await stream.add_stream(config)
            except nats.js.errors.BadRequestError:
                await stream.update_stream(config)
        finally:
            await client.close()

    asyncio.run(give())


def messages(server: NatsServer, name: str = "SEND2LLM") -> list[nats.aio.msg.Msg]:
    """All that the stream holds."""

    async def read() -> list[nats.aio.msg.Msg]:
        client = await nats.connect(server.url)
        try:
            stream = client.jetstream()
            number = (await stream.stream_info(name)).state.messages
            consumer = await stream.pull_subscribe(">", stream=name, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
            found: list[nats.aio.msg.Msg] = []
            while len(found) < number:
                found += await consumer.fetch(min(number - len(found), 200), timeout=10)
            return found
        finally:
            await client.close()

    return asyncio.run(read())


def headers(found: list[nats.aio.msg.Msg], name: str) -> list[str]:
    return [(message.headers or {})[name] for message in found]


def stored_ids(database: ConnectionInfo) -> list[str]:
    with psycopg.connect(database.dsn) as connection:
        rows = connection.execute("SELECT convert_from(state, 'UTF8') FROM stored_events ORDER BY notification_id")
        return [orjson.loads(state)["meta"]["event_id"] for (state,) in rows]


def test_every_event_is_handed_on(server, relaying, position, writer, migrated) -> None:
    first = writer.write(uuid4(), ConversationStarted(labels={"a": "b"}), *turn("before"))
    with relaying():
        eventually(lambda: position() == first[-1])
        last = writer.write(uuid4(), *turn("after"))[-1]
        eventually(lambda: position() == last)
    found = messages(server)
    assert headers(found, "Nats-Msg-Id") == stored_ids(migrated)
    assert headers(found, "Send2LLM-Position") == [str(number) for number in range(1, 8)]
    assert headers(found, "Send2LLM-Schema-Version") == ["1", "1", "3", "1", "1", "3", "1"]
    assert found[0].subject == "send2llm.events.conversation.started"
    assert orjson.loads(found[0].data)["data"] == {"labels": {"a": "b"}}
    assert all(orjson.loads(message.data)["event_id"] == message.headers["Nats-Msg-Id"] for message in found)


def test_only_some_topics(server, relaying, position, writer) -> None:
    last = writer.write(uuid4(), *turn("hello"))[-1]
    with relaying(topics=("conversation.completion_received",)):
        eventually(lambda: position() == last)
    assert [message.subject for message in messages(server)] == ["send2llm.events.conversation.completion_received"]


def test_what_is_too_large_for_the_broker_comes_without_its_data(server, relaying, position, writer) -> None:
    last = writer.write(uuid4(), said("x" * 2_000_000), said("small"))[-1]
    with relaying():
        eventually(lambda: position() == last)
    large, small = messages(server)
    assert (large.headers or {})["Send2LLM-Data"] == "left-out"
    assert orjson.loads(large.data)["data"] is None
    assert orjson.loads(large.data)["position"] == 1
    assert "Send2LLM-Data" not in (small.headers or {})


def test_what_is_too_large_for_the_stream_comes_without_its_data(server, relaying, position, writer) -> None:
    give_stream(server, max_msg_size=16_384)
    last = writer.write(uuid4(), said("x" * 40_000), said("small"))[-1]
    with relaying():
        eventually(lambda: position() == last)
    large, small = messages(server)
    assert (large.headers or {})["Send2LLM-Data"] == "left-out"
    assert "Send2LLM-Data" not in (small.headers or {})


def test_a_limit_that_the_stream_got_meanwhile_is_heeded(server, relaying, position, writer) -> None:
    with relaying():
        first = writer.write(uuid4(), said("x" * 40_000))[-1]
        eventually(lambda: position() == first)
        give_stream(server, max_msg_size=16_384)
        last = writer.write(uuid4(), said("y" * 40_000))[-1]
        eventually(lambda: position() == last)
    whole, left_out = messages(server)
    assert "Send2LLM-Data" not in (whole.headers or {})
    assert (left_out.headers or {})["Send2LLM-Data"] == "left-out"


def test_a_refused_event_is_seen_and_can_be_left_out(server, relaying, position, failure, writer, migrated) -> None:
    """Another stream has its subject, so the relay's own refuses it; what stands before it is handed on."""
    for topic in ("message_added", "completion_received"):
        give_stream(server, name=f"OTHER{topic}", subject=f"send2llm.events.conversation.{topic}")
    give_stream(server, subject="send2llm.events.conversation.completion_requested")
    conversation = uuid4()
    asked, requested, received = writer.write(conversation, *turn("hello"))
    with relaying(), create_engine(migrated.sqlalchemy_url, poolclass=NullPool).connect() as connection:
        for culprit in (asked, received):
            eventually(lambda culprit=culprit: failure()[1] == culprit)
            assert "expected stream does not match" in (failure()[0] or "")
            assert position() == culprit - 1
            with connection.begin():
                failed_builds.skip(connection, "relay_nats", culprit, "me", None)
        eventually(lambda: position() == received)
        assert failure() == (None, None)
    assert headers(messages(server), "Send2LLM-Position") == [str(requested)]


def test_an_event_that_no_stream_wants_is_seen(server, relaying, position, failure, writer) -> None:
    give_stream(server, subject="send2llm.events.conversation.message_added")
    asked, requested, _ = writer.write(uuid4(), *turn("hello"))
    with relaying():
        eventually(lambda: failure()[1] == requested)
        assert "NoStreamResponse" in (failure()[0] or "")
        assert position() == asked
        give_stream(server)
        eventually(lambda: position() == requested + 1)
        assert failure() == (None, None)


def test_a_stream_that_is_full_is_waited_for(server, relaying, position, failure, writer) -> None:
    give_stream(server, max_msgs=1, discard=DiscardPolicy.NEW)
    last = writer.write(uuid4(), *turn("hello"))[-1]
    with relaying():
        eventually(lambda: "maximum messages exceeded" in (failure()[0] or ""))
        assert failure()[1] is None  # it is no event's fault
        give_stream(server, max_msgs=10, discard=DiscardPolicy.NEW)
        eventually(lambda: position() == last)
    assert len(messages(server)) == 3


def test_a_broker_that_is_away_is_waited_for_and_seen(server, relaying, position, writer, migrated) -> None:
    server.kill()
    last = writer.write(uuid4(), *turn("hello"))[-1]
    with relaying(), psycopg.connect(migrated.dsn, autocommit=True) as onlooker:

        def reason() -> str | None:
            row = onlooker.execute("SELECT reason FROM projection_checkpoints WHERE name = 'relay_nats'").fetchone()
            return row[0] if row else None

        eventually(lambda: "NATS cannot be reached" in (reason() or ""))
        assert position() == 0
        server.start()
        eventually(lambda: position() == last)
        assert reason() is None
    assert len(messages(server)) == 3


@pytest.mark.parametrize("command", ["skip", "retry"])
def test_an_event_that_cannot_be_read_is_seen_and_stepped_over(
    server, relaying, position, failure, writer, migrated, command
) -> None:
    before = writer.write(uuid4(), *turn("before"))[-1]
    stream = f"conversation-{uuid4()}"
    with psycopg.connect(migrated.dsn, autocommit=True) as onlooker:
        culprit = onlooker.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " VALUES (%s, 1, 'conversation.closed', 'garbage') RETURNING notification_id",
            (stream,),
        ).fetchone()[0]
        last = writer.write(uuid4(), *turn("after"))[-1]
        with relaying(topics=("conversation.completion_received", "conversation.closed")):
            eventually(lambda: failure()[1] == culprit)
            assert "UnreadableEvent" in (failure()[0] or "")
            assert position() == before
            if command == "retry":
                onlooker.execute("ALTER TABLE stored_events DISABLE TRIGGER stored_events_append_only")
                onlooker.execute("DELETE FROM stored_events WHERE originator_id = %s", (stream,))
                onlooker.execute("ALTER TABLE stored_events ENABLE TRIGGER stored_events_append_only")
            with create_engine(migrated.sqlalchemy_url, poolclass=NullPool).begin() as connection:
                if command == "retry":
                    failed_builds.retry(connection, "relay_nats", None)
                else:
                    failed_builds.skip(connection, "relay_nats", culprit, "me", None)
            eventually(lambda: position() == last)
            assert failure() == (None, None)
    assert headers(messages(server), "Send2LLM-Position") == [str(before), str(last)]


def test_a_paused_relay_stands_still(server, relaying, position, writer, migrated) -> None:
    with relaying(), psycopg.connect(migrated.dsn, autocommit=True) as onlooker:
        last = writer.write(uuid4(), said("one"))[-1]
        eventually(lambda: position() == last)
        onlooker.execute("UPDATE projection_checkpoints SET paused = true")
        more = writer.write(uuid4(), said("two"))[-1]
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'send2llm relay_nats'"
        assert onlooker.execute(asleep).fetchone() == (1,)
        onlooker.execute("UPDATE projection_checkpoints SET paused = false")
        eventually(lambda: position() == more)


def test_it_begins_anew_for_another_stream_once_its_row_is_dropped(
    server, relaying, position, writer, migrated
) -> None:
    last = writer.write(uuid4(), *turn("hello"))[-1]
    with relaying():
        eventually(lambda: position() == last)
    with psycopg.connect(migrated.dsn) as connection:
        connection.execute("DELETE FROM projection_checkpoints WHERE name = 'relay_nats'")
    with relaying(stream="ANOTHER", subject="anew"):
        eventually(lambda: position() == last)
    assert len(messages(server, "ANOTHER")) == 3


def test_nothing_is_lost_whoever_is_killed(server, position, migrated) -> None:
    """Two relays, of which one is active, are killed in turns, and the broker too, while events are stored."""
    enough = threading.Event()

    def write() -> None:
        with EventWriter(migrated) as writer:
            while not enough.is_set():
                writer.write(uuid4(), *turn("hello"))
                enough.wait(0.002)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, HERE / "relaying_process.py", migrated.dsn, server.url])

    writing = threading.Thread(target=write)
    writing.start()
    relays = [start(), start()]
    try:
        for times in range(6):
            before = position()
            eventually(lambda before=before: position() > before, 60)
            if times % 3 == 2:
                server.kill()
                server.start()
            victim = relays[times % 2]
            victim.kill()
            victim.wait()
            relays[times % 2] = start()
        enough.set()
        writing.join()
        ids = stored_ids(migrated)
        eventually(lambda: position() == len(ids), 60)
    finally:
        enough.set()
        for relay in relays:
            relay.kill()
            relay.wait()
    told = headers(messages(server), "Nats-Msg-Id")
    assert set(told) == set(ids)
    assert len(told) == len(ids)  # within the two minutes for which JetStream knows ids
