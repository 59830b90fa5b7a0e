"""What a conversation costs: events to rows and back, cold loads, the 10th turn and the 1,000th, reading the log.

Run it with ``python benchmarks/conversations.py``; it starts a PostgreSQL of its own with its usual, durable settings
and takes about half a minute.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import uvloop
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresDatastore
from psycopg_pool import AsyncConnectionPool

import figures
from send2llm.application.context import Context, Metadata
from send2llm.domain.completion import Parameters
from send2llm.domain.conversation import Conversation
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.event_store.reading import Reader
from send2llm.infrastructure.event_store.text_keys import TextKey, TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.system import SystemClock, TimeOrderedIdentifiers
from send2llm.testing.conversation_stories import answered, asked, said, user
from send2llm.testing.postgres import TestDatabaseServer

KEYS = TextKeys.generate()
CODEC = EventCodec(EventRegistry.default(), KEYS)
CONTEXT = Context(correlation_id=UUID(int=1))
QUESTION = "What is the capital of France? " * 10
ANSWER = "The capital of France is Paris. " * 30


def best_of(work: Callable[[], object], times: int, rounds: int = 5) -> float:
    """Microseconds on the processor for one of ``times`` in the best round."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best / times * 1e6


def codec() -> list[figures.Row]:
    """Each event in plain and encrypted; read with its texts, and, as projections without texts do, without."""
    events = {
        "MessageAdded": said(QUESTION),
        "CompletionRequested": asked(parameters=Parameters(max_output_tokens=100, temperature=0.2)),
        "CompletionReceived": answered(ANSWER, time_to_first_token=0.2, cost_usd=Decimal("0.00123")),
    }
    return [
        {"event": name, "encrypted": key is not None, **_costs(event, key)}
        for name, event in events.items()
        for key in (None, KEYS.new("stream"))
    ]


def _costs(event: object, key: TextKey | None) -> figures.Row:
    count = 2_000
    metadata = [Metadata(uuid4(), datetime.now(UTC), uuid4(), None, "key:benchmark", "default") for _ in range(count)]

    def encode() -> list[StoredEvent]:
        return [CODEC.encode("stream", 1, event, each, key) for each in metadata]

    rows, wrapped = encode(), key and key.wrapped

    def decode(stored: bytes | None) -> Callable[[], object]:
        return lambda: [CODEC.decode(1, "stream", 1, row.topic, row.state, stored) for row in rows]

    def fold() -> object:
        return [CODEC.decode_event("stream", 1, row.topic, row.state, wrapped) for row in rows]

    return {
        "encode_us": best_of(encode, count),
        "decode_us": best_of(decode(wrapped), count),
        "decode_without_texts_us": best_of(decode(None), count),
        "decode_without_metadata_us": best_of(fold, count),
        "bytes": len(rows[0].state),
    }


async def stored(conversations: EventSourcedConversations, messages: int) -> UUID:
    conversation = Conversation.start(uuid4())
    for number in range(1, messages // 2 + 1):
        conversation.add_messages([user(QUESTION)])
        conversation.request_completion(asked(number))
        conversation.receive_completion(answered(ANSWER, number))
    await conversations.save(conversation, CONTEXT)
    return conversation.id


async def turn(conversations: EventSourcedConversations, conversation_id: UUID, number: int) -> tuple[float, float]:
    """One turn as the application makes it; milliseconds, and those of them on the processor."""
    began, worked = time.perf_counter(), time.thread_time()
    conversation = await conversations.load(conversation_id)
    conversation.add_messages([user(QUESTION)])
    conversation.request_completion(asked(number))
    await conversations.save(conversation, CONTEXT)
    conversation = await conversations.load(conversation_id)
    conversation.receive_completion(answered(ANSWER, number))
    await conversations.save(conversation, CONTEXT)
    return (time.perf_counter() - began) * 1e3, (time.thread_time() - worked) * 1e3


async def run(database: ConnectionInfo, file: Path | None) -> None:
    recorder = GroupCommitRecorder(
        PostgresDatastore(
            database.dbname, database.host, database.port, database.user, database.password, originator_id_type="text"
        )
    )
    recorder.create_table()
    async with AsyncConnectionPool(database.dsn, kwargs={"autocommit": True}, open=False) as pool:

        def conversations() -> EventSourcedConversations:
            return EventSourcedConversations(recorder, pool, CODEC, SystemClock(), TimeOrderedIdentifiers())

        warm = conversations()
        loads: list[figures.Row] = []
        for messages in (10, 1_000, 10_000):
            conversation_id = await stored(warm, messages)
            times = []
            for _ in range(3 if messages > 1_000 else 10):
                cold = conversations()
                began = time.perf_counter()
                await cold.load(conversation_id)
                times.append((time.perf_counter() - began) * 1e3)
            began = time.perf_counter()
            for _ in range(100):
                await warm.load(conversation_id)
            cached = (time.perf_counter() - began) / 100 * 1e6
            loads.append({"messages": messages, "cold_ms": min(times), "cached_us": cached})
        figures.tell("Loads of a conversation", loads, file)

        turns: list[figures.Row] = []
        for length in (10, 1_000, 5_000):
            measured = []
            for _ in range(5):
                conversation_id = await stored(warm, 2 * (length - 1))
                measured += [await turn(warm, conversation_id, length + extra) for extra in range(20)]
            wall, processor = (statistics.median(column) for column in zip(*measured, strict=True))
            turns.append({"turn": length, "ms": wall, "event_loop_cpu_ms": processor})
        figures.tell("Turns, without HTTP and provider", turns, file)

        figures.tell("Reading the log, 1,000 events at once", [await reading(pool)], file)
    recorder.close()
    recorder.datastore.close()


async def reading(pool: AsyncConnectionPool) -> figures.Row:
    reader, log = Reader(pool), EventLog(pool, CODEC)
    head = await log.head()
    statement = (
        "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events "
        "WHERE notification_id > %s ORDER BY notification_id LIMIT %s"
    )
    began = time.perf_counter()
    for after in range(0, head, 1_000):
        await reader.fetch(statement, (after, 1_000))
    raw = head / (time.perf_counter() - began)
    began = time.perf_counter()
    for after in range(0, head, 1_000):
        await log.read(after, 1_000)
    decoded = head / (time.perf_counter() - began)
    return {"events": head, "raw_events_per_s": raw, "decoded_events_per_s": decoded}


if __name__ == "__main__":
    given = figures.parser(__doc__).parse_args()
    figures.tell("Events to rows and back", codec(), given.figures)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # for root, the server runs as another account
        with TestDatabaseServer(Path(folder) / "postgres", durable=True) as server:
            uvloop.run(run(server.create_database(), given.figures))
