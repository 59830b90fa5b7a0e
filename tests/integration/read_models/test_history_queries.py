"""The history, asked through its port: the same answers from memory and from PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import create_engine

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.application.queries import ConversationFilter, ConversationOrder, HistoryQueries
from send2llm.domain.completion import Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    ConversationClosed,
    ConversationEvent,
    ConversationStarted,
    FeedbackGiven,
    MessageAdded,
)
from send2llm.domain.errors import ConversationNotFound, InvalidRequest
from send2llm.domain.message import ImagePart, Message, TextPart, ToolCallPart
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.history_queries import PostgresHistory
from send2llm.infrastructure.read_models.statements import PresentTables
from send2llm.testing.clock import START
from send2llm.testing.event_writer import received, requested, said, turn
from send2llm.testing.history import InMemoryHistory


class Story:
    """Tells events, one second after the other, and has them folded."""

    def __init__(self, fold: Callable[[Sequence[RecordedEvent]], None], queries: HistoryQueries) -> None:
        self._fold = fold
        self._versions: dict[UUID, int] = {}
        self._position = 0
        self.queries = queries
        self.now = START

    def tell(self, conversation_id: UUID, *events: ConversationEvent, tenant: str = "default") -> None:
        self._fold([self._record(conversation_id, event, tenant) for event in events])

    def _record(self, conversation_id: UUID, event: ConversationEvent, tenant: str) -> RecordedEvent:
        codec = EventCodec(EventRegistry.default())
        self._position += 1
        self.now += timedelta(seconds=1)
        version = self._versions[conversation_id] = self._versions.get(conversation_id, 0) + 1
        metadata = Metadata(uuid4(), self.now, uuid4(), None, "tester", tenant)
        row = codec.encode(conversation_stream(conversation_id), version, event, metadata)
        return codec.decode(self._position, str(row.originator_id), version, row.topic, row.state)


@pytest.fixture(params=["memory", "postgres"])
async def story(request: pytest.FixtureRequest) -> AsyncIterator[Story]:
    if request.param == "memory":
        memory = InMemoryHistory()
        yield Story(memory.fold, memory)
        return
    database: ConnectionInfo = request.getfixturevalue("migrated")
    engine = create_engine(database.sqlalchemy_url)

    def fold(events: Sequence[RecordedEvent]) -> None:
        with engine.begin() as connection:
            HistoryProjection().fold(events, connection)

    async with AsyncConnectionPool(database.dsn, min_size=1, max_size=2) as pool:
        yield Story(fold, PostgresHistory(PresentTables(pool)))
    engine.dispose()


WHOLE_USAGE = Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=60, reasoning_output_tokens=5)


def tell_everything(story: Story, conversation_id: UUID, completion_id: UUID) -> None:
    """A conversation with a picture, a failed attempt, an answer and feedback."""
    story.tell(
        conversation_id,
        ConversationStarted(labels={"team": "blue"}),
        MessageAdded(message=Message("system", (TextPart("Be brief."),))),
        MessageAdded(
            message=Message(
                "user", (TextPart("  What is\n on this "), ImagePart("https://x.test/a.png"), TextPart("picture?"))
            )
        ),
        requested(completion_id, process="p-1", provider="slow", model="first"),
        AttemptFailed(
            completion_id=completion_id,
            attempt=1,
            provider="slow",
            model="first",
            error="provider_overloaded",
            detail="busy",
            retryable=True,
            status=503,
            duration=0.1,
        ),
        received(
            completion_id,
            "A parrot.",
            provider="echo",
            model="parrot",
            usage=WHOLE_USAGE,
            cost_usd=Decimal("0.000000000001"),
        ),
        FeedbackGiven(completion_id=completion_id, score=Decimal("0.5"), comment="fine"),
        tenant="acme",
    )


async def test_a_conversation_with_everything(story: Story) -> None:
    conversation_id, completion_id = uuid4(), uuid4()
    tell_everything(story, conversation_id, completion_id)

    detail = await story.queries.conversation(conversation_id)

    summary = detail.summary
    assert (summary.tenant, summary.actor, summary.state, summary.version) == ("acme", "tester", "open", 7)
    assert summary.title == "What is on this picture?"
    assert dict(summary.labels) == {"team": "blue"}
    assert (summary.message_count, summary.completion_count, summary.received_count) == (3, 1, 1)
    assert (summary.cost_usd, summary.unpriced_count) == (Decimal("0.000000000001"), 0)
    assert (summary.input_tokens, summary.output_tokens) == (100, 20)
    assert (summary.last_provider, summary.last_model) == ("echo", "parrot")
    assert (summary.started_at, summary.updated_at) == (START + timedelta(seconds=1), story.now)

    assert [(line.ordinal, line.role, line.text) for line in detail.messages] == [
        (1, "system", "Be brief."),
        (2, "user", "  What is\n on this picture?"),
        (3, "assistant", "A parrot."),
    ]
    assert detail.messages[1].parts[1] == {"type": "image", "url": "https://x.test/a.png"}
    assert detail.messages[1].completion_id is None
    answer = detail.messages[2]
    assert (answer.completion_id, answer.provider, answer.model) == (completion_id, "echo", "parrot")
    assert (answer.position, answer.at) == (6, START + timedelta(seconds=6))

    (call,) = detail.completions
    assert (call.status, call.error, call.attempts, call.finish_reason) == ("received", None, 1, "stop")
    assert (call.requested_model, call.provider, call.model) == ("slow/first", "echo", "parrot")
    assert (call.reported_usage, call.estimated_usage) == (WHOLE_USAGE, None)
    assert (call.cost_usd, call.price_version) == (Decimal("0.000000000001"), "test 1")
    assert (call.duration, call.time_to_first_token) == (0.25, 0.05)
    assert call.ended_at is not None
    assert call.requested_at < call.ended_at

    (judged,) = detail.feedback
    assert (judged.completion_id, judged.score, judged.comment) == (completion_id, Decimal("0.5"), "fine")


async def test_calls_that_fail_or_break_off(story: Story) -> None:
    conversation_id, failed, interrupted = uuid4(), uuid4(), uuid4()
    story.tell(
        conversation_id,
        ConversationStarted(),
        said("hello"),
        requested(failed),
        CompletionFailed(completion_id=failed, error="provider_timed_out", detail="", attempts=3, duration=9.5),
        requested(interrupted),
        CompletionInterrupted(
            completion_id=interrupted,
            reason="client_disconnected",
            estimated_usage=Usage(input_tokens=4, output_tokens=2),
            assumed="estimated from what had come",
        ),
        ConversationClosed(),
    )
    detail = await story.queries.conversation(conversation_id)
    assert detail.summary.state == "closed"
    assert (detail.summary.failed_count, detail.summary.interrupted_count) == (1, 1)
    assert (detail.summary.input_tokens, detail.summary.unpriced_count) == (4, 1)
    first, second = detail.completions
    assert (first.status, first.error, first.attempts) == ("failed", "provider_timed_out", 3)
    assert (second.status, second.error, second.assumed) == (
        "interrupted",
        "client_disconnected",
        "estimated from what had come",
    )
    assert (second.reported_usage, second.estimated_usage) == (None, Usage(input_tokens=4, output_tokens=2))


async def test_an_answer_after_it_was_written_off_counts_once(story: Story) -> None:
    conversation_id, completion_id = uuid4(), uuid4()
    story.tell(conversation_id, ConversationStarted(), said("hello"), requested(completion_id))
    written_off = CompletionInterrupted(
        completion_id=completion_id,
        reason="process_gone",
        estimated_usage=Usage(input_tokens=50, output_tokens=50),
        cost_usd=Decimal("0.01"),
        assumed="the worst",
    )
    story.tell(conversation_id, written_off)
    before = (await story.queries.conversation(conversation_id)).summary
    assert (before.interrupted_count, before.cost_usd, before.input_tokens) == (1, Decimal("0.01"), 50)
    story.tell(conversation_id, received(completion_id, cost_usd=Decimal("0.002")))
    detail = await story.queries.conversation(conversation_id)
    after = detail.summary
    assert (after.interrupted_count, after.received_count, after.completion_count) == (0, 1, 1)
    assert (after.cost_usd, after.input_tokens, after.output_tokens) == (Decimal("0.002"), 12, 7)
    (call,) = detail.completions
    assert (call.status, call.error, call.assumed, call.estimated_usage) == ("received", None, None, None)


async def test_a_call_without_a_known_price_is_counted_as_such(story: Story) -> None:
    conversation_id, completion_id = uuid4(), uuid4()
    story.tell(
        conversation_id,
        ConversationStarted(),
        said("hello"),
        requested(completion_id, price_version=None),
        received(completion_id, cost_usd=None),
    )
    summary = (await story.queries.conversation(conversation_id)).summary
    assert (summary.cost_usd, summary.unpriced_count, summary.input_tokens) == (Decimal(0), 1, 12)


async def test_a_tool_call_keeps_its_parts(story: Story) -> None:
    conversation_id = uuid4()
    call = ToolCallPart("call-1", "weather", '{"city": "Ulm"}')
    story.tell(conversation_id, ConversationStarted(), MessageAdded(message=Message("assistant", (call,))))
    (line,) = (await story.queries.conversation(conversation_id)).messages
    assert line.parts == [{"id": "call-1", "name": "weather", "arguments": '{"city": "Ulm"}', "type": "tool_call"}]
    assert line.text == ""


async def test_text_that_postgresql_cannot_hold_stops_nothing(story: Story) -> None:
    conversation_id = uuid4()
    story.tell(
        conversation_id,
        ConversationStarted(labels={"nul": "a\x00b", "half": "\ud83d", "deep": {"list": ["\x00"]}}),
        said("nul \x00, half of a smile \ud83d, a whole one \U0001f600"),
        *turn("x" * 100_000, provider="echo", model="m" * 5_000),
    )
    page = await story.queries.conversations(ConversationFilter(model="m" * 5_000))
    assert [summary.id for summary in page.conversations] == [conversation_id]
    detail = await story.queries.conversation(conversation_id)
    assert detail.messages[0].text.endswith("a whole one \U0001f600")
    assert detail.completions[0].model == "m" * 5_000


async def test_who_asks_for_another_tenant_or_for_nothing(story: Story) -> None:
    conversation_id = uuid4()
    story.tell(conversation_id, ConversationStarted(), tenant="acme")
    await story.queries.conversation(conversation_id, "acme")
    with pytest.raises(ConversationNotFound):
        await story.queries.conversation(conversation_id, "other")
    with pytest.raises(ConversationNotFound):
        await story.queries.conversation(uuid4())


@pytest.mark.parametrize(
    ("matching", "found"),
    [
        (ConversationFilter(), "cba"),
        (ConversationFilter(tenant="acme"), "ba"),
        (ConversationFilter(tenant="acme", state="closed"), "b"),
        (ConversationFilter(state="awaiting"), "c"),
        (ConversationFilter(model="owl"), "b"),
        (ConversationFilter(provider="zoo"), "cb"),
        (ConversationFilter(text="100% SURE"), "b"),
        (ConversationFilter(text="_"), ""),
        (ConversationFilter(started_from=START + timedelta(seconds=5)), "cb"),
        (ConversationFilter(started_before=START + timedelta(seconds=5)), "a"),
        (ConversationFilter(tenant="nobody"), ""),
        (ConversationFilter(labels={"user": "4711"}), "ba"),
        (ConversationFilter(labels={"user": "4711", "team": "\x00"}), "b"),
        (ConversationFilter(labels={"user": "4711", "team": "blue"}), ""),
        (ConversationFilter(labels={"user": "47"}), ""),
    ],
)
async def test_filters(story: Story, matching: ConversationFilter, found: str) -> None:
    names = dict(zip((uuid4(), uuid4(), uuid4()), "abc", strict=True))
    a, b, c = names
    story.tell(
        a,
        ConversationStarted(labels={"user": "4711"}),
        *turn("a parrot", provider="echo", model="parrot"),
        tenant="acme",
    )
    story.tell(
        b,
        ConversationStarted(labels={"user": "4711", "team": "\x00"}),
        *turn("100% sure?", provider="zoo", model="owl"),
        ConversationClosed(),
        tenant="acme",
    )
    story.tell(c, ConversationStarted(), said("waiting"), requested(uuid4(), provider="zoo", model="sloth"))
    page = await story.queries.conversations(matching)
    assert "".join(names[summary.id] for summary in page.conversations) == found
    assert page.next_cursor is None


@pytest.mark.parametrize("order", ["updated_at", "started_at"])
async def test_pages_show_each_conversation_once(story: Story, order: ConversationOrder) -> None:
    ids = [uuid4() for _ in range(7)]
    for conversation_id in ids[:3]:
        story.tell(conversation_id, ConversationStarted())
    moment = story.now
    for conversation_id in ids[3:]:  # these four at one and the same moment
        story.now = moment
        story.tell(conversation_id, ConversationStarted())
    seen, cursor = [], None
    while True:
        page = await story.queries.conversations(order=order, limit=2, cursor=cursor)
        seen += [summary.id for summary in page.conversations]
        cursor = page.next_cursor
        if cursor is None:
            break
        # What is new while the pages are turned moves nothing.
        story.now += timedelta(hours=1)
        story.tell(uuid4(), ConversationStarted())
    assert seen == [*sorted(ids[3:], reverse=True), *reversed(ids[:3])]


async def test_cursors_and_limits_are_checked(story: Story) -> None:
    for conversation_id in (uuid4(), uuid4()):
        story.tell(conversation_id, ConversationStarted())
    cursor = (await story.queries.conversations(limit=1)).next_cursor
    for wrong in ("", "nonsense", "ä", "MXx8"):
        with pytest.raises(InvalidRequest, match="cursor"):
            await story.queries.conversations(cursor=wrong)
    with pytest.raises(InvalidRequest, match="cursor"):
        await story.queries.conversations(order="started_at", cursor=cursor)
    for limit in (0, 501):
        with pytest.raises(InvalidRequest, match="limit"):
            await story.queries.conversations(limit=limit)


async def test_open_completions_and_counts(story: Story) -> None:
    first, second, open_one, open_two = uuid4(), uuid4(), uuid4(), uuid4()
    story.tell(
        first, ConversationStarted(), *turn("done"), said("more"), requested(open_one, process="p-1"), tenant="acme"
    )
    story.tell(second, ConversationStarted(), said("hello"), requested(open_two, process="p-2"))
    calls = await story.queries.open_completions()
    assert [(call.conversation_id, call.completion_id, call.process, call.tenant) for call in calls] == [
        (first, open_one, "p-1", "acme"),
        (second, open_two, "p-2", "default"),
    ]
    counts = await story.queries.counts()
    assert (counts.conversations, counts.messages) == (2, 4)
    assert dict(counts.completions) == {"awaited": 2, "received": 1}
    counts = await story.queries.counts("default")
    assert (counts.conversations, counts.messages, dict(counts.completions)) == (1, 1, {"awaited": 1})
    assert datetime.now(UTC) > calls[0].requested_at
