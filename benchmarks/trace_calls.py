"""Fills an event store with calls as a busy service would have made them, for who reads long histories.

Times and tokens are those of a trace of real calls (CSV with ``TIMESTAMP,ContextTokens,GeneratedTokens``, gzipped,
such as the Azure LLM inference traces of 2023), told again day after day, twelve times as slowly; without one they are
drawn from log-normal distributions with that trace's medians and spreads. Texts are short: a store of a million prompts
of true length would measure the disk. Rows are made by the event store's own encoder, and go into the table by COPY.
"""

import csv
import gzip
import heapq
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import exp, log
from pathlib import Path
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent

from send2llm.application.context import Metadata
from send2llm.bootstrap.prices import price_book_of_history
from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.conversation_events import AttemptFailed, ConversationEvent, ConversationStarted
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.system import SystemClock
from send2llm.settings import Settings
from send2llm.testing.event_writer import received, requested, said

MODELS = (
    ("openai", "gpt-4o-mini", 50),
    ("openai", "gpt-4o", 15),
    ("anthropic", "claude-sonnet-4-5", 20),
    ("gemini", "gemini-2.5-flash", 15),
)
"""Provider, model, and how often of a hundred."""

TENANTS = 20
GOES_ON, REPEATS, RETRIED = 0.3, 0.05, 0.01
"""Calls that continue a conversation, that ask what was asked before, and that are tried twice."""

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
SLOWER = 12
PIECE = 5_000
"""Calls between two transactions."""

ANSWER = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all."
SECONDS_A_TOKEN, SECONDS_BEFORE = 0.012, 0.3

Asked = tuple[float, int, int]
"""Seconds since the trace began, tokens in, tokens out."""


class TraceCalls:
    """Makes the events of calls; always the same ones."""

    def __init__(self, traces: Sequence[Path] = ()) -> None:
        self._random = random.Random(1)
        self._trace = read_traces(traces) if traces else list(self._drawn(28_000))
        self._codec = EventCodec(EventRegistry.default())
        self._prices = price_book_of_history(Settings(), SystemClock())
        self._spoken: list[tuple[UUID, int]] = []
        self._asked: list[str] = []
        self.events = 0

    def fill(self, database: ConnectionInfo, calls: int) -> None:
        """Store so many calls."""
        with psycopg.connect(database.dsn) as connection:
            rows = self.rows(calls)
            columns = "originator_id, originator_version, topic, state"
            for piece in _pieces(rows, PIECE):
                with connection.cursor().copy(f"COPY stored_events ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(("text", "int8", "text", "bytea"))
                    for row in piece:
                        copy.write_row((row.originator_id, row.originator_version, row.topic, row.state))
                connection.commit()
                self.events += len(piece)
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE stored_events")

    def tell_again(self, database: ConnectionInfo) -> None:
        """Store all nine times more, fast: as other conversations, in later years."""
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            for year, digit in enumerate("56789abcd", FIRST_DAY.year + 1):
                connection.execute(_AGAIN, {"up_to": self.events, "digit": digit, "at": f'"occurred_at":"{year}-'})
            connection.execute("VACUUM ANALYZE stored_events")
        self.events *= 10

    def rows(self, calls: int) -> Iterator[StoredEvent]:
        """The events in the order in which they happened."""
        running: list[tuple[datetime, int, list[StoredEvent]]] = []
        for number in range(calls):
            day, place = divmod(number, len(self._trace))
            second, tokens_in, tokens_out = self._trace[place]
            at = FIRST_DAY + timedelta(days=day, seconds=second * SLOWER)
            while running and running[0][0] <= at:
                yield from heapq.heappop(running)[2]
            begin, end, end_at = self._call(number, at, tokens_in, tokens_out)
            yield from begin
            heapq.heappush(running, (end_at, number, end))
        while running:
            yield from heapq.heappop(running)[2]

    def _call(
        self, number: int, at: datetime, tokens_in: int, tokens_out: int
    ) -> tuple[list[StoredEvent], list[StoredEvent], datetime]:
        chance = self._random
        provider, model, _ = chance.choices(MODELS, [share for *_, share in MODELS])[0]
        price = self._prices.price(provider, model)
        assert price is not None, f"the catalogue does not know {provider}/{model}"
        usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
        cost = price.cost(usage)
        completion = UUID(int=chance.getrandbits(128), version=4)
        question = self._question(number)
        begun = replace(
            requested(completion, provider=provider, model=model, price_version=price.version),
            parameters=Parameters(max_output_tokens=1000, temperature=0.2),
            hold_usd=price.cost(Usage(input_tokens=3 * tokens_in, output_tokens=1000)) if number % 2 else None,
        )
        duration = SECONDS_BEFORE + tokens_out * SECONDS_A_TOKEN
        told = replace(
            received(completion, ANSWER, provider=provider, model=model, usage=usage, cost_usd=cost),
            duration=duration,
            price_version=price.version,
        )
        events: list[ConversationEvent] = [said(question), begun]
        if chance.random() < RETRIED:
            events.append(_retried(completion, provider, model, begun.hold_usd))
            told = replace(told, attempts=2)
        conversation, version = self._conversation()
        if not version:
            events.insert(0, ConversationStarted())
        ended = at + timedelta(seconds=duration)
        tenant = f"tenant-{chance.randrange(TENANTS)}" if not version else "tenant-0"
        begin = [self._row(conversation, version + n, event, at, tenant) for n, event in enumerate(events, 1)]
        end = self._row(conversation, version + len(events) + 1, told, ended, tenant)
        self._spoken.append((conversation, version + len(events) + 1))
        return begin, [end], ended

    def _conversation(self) -> tuple[UUID, int]:
        """One that ended a while ago and goes on, or a new one."""
        if len(self._spoken) > 2000 and self._random.random() < GOES_ON:
            return self._spoken.pop(self._random.randrange(1000))
        if len(self._spoken) > 3000:
            del self._spoken[:1000]
        return UUID(int=self._random.getrandbits(128), version=4), 0

    def _question(self, number: int) -> str:
        if self._asked and self._random.random() < REPEATS:
            return self._asked[-1 - int(self._random.random() ** 2 * len(self._asked))]
        question = f"Question {number}: what does the fox jump over, and what does the dog think of it?"
        self._asked.append(question)
        if len(self._asked) > 2000:
            del self._asked[:1000]
        return question

    def _row(self, conversation: UUID, version: int, event: object, at: datetime, tenant: str) -> StoredEvent:
        metadata = Metadata(
            event_id=UUID(int=self._random.getrandbits(128), version=4),
            occurred_at=at,
            correlation_id=conversation,
            causation_id=None,
            actor="api_key",
            tenant=tenant,
        )
        return self._codec.encode(conversation_stream(conversation), version, event, metadata)

    def _drawn(self, calls: int) -> Iterator[Asked]:
        for number in range(calls):
            tokens = (exp(self._random.gauss(log(1020), 0.99)), exp(self._random.gauss(log(129), 0.86)))
            yield number / 8, int(tokens[0]) + 1, int(tokens[1]) + 1


# Every id of the calls above is a UUID of version 4; in each copy that digit is another one.
_AGAIN = r"""
INSERT INTO stored_events (originator_id, originator_version, topic, state)
SELECT regexp_replace(originator_id, %(uuid)s, '\1' || %(digit)s || '\2'), originator_version, topic,
       convert_to(regexp_replace(
           replace(convert_from(state, 'UTF8'), '"occurred_at":"2026-', %(at)s),
           %(uuid)s, '\1' || %(digit)s || '\2', 'g'
       ), 'UTF8')
FROM stored_events WHERE notification_id <= %(up_to)s ORDER BY notification_id
""".replace("%(uuid)s", "'([0-9a-f]{4}-)4([0-9a-f]{3}-[89ab][0-9a-f]{3}-)'")


def read_traces(files: Iterable[Path]) -> list[Asked]:
    """The calls of several traces, in the order of their times."""
    found = []
    for file in files:
        with gzip.open(file, "rt") as lines:
            for line in csv.DictReader(lines):
                at = datetime.fromisoformat(line["TIMESTAMP"][:26]).replace(tzinfo=UTC)
                found.append((at.timestamp(), int(line["ContextTokens"]), int(line["GeneratedTokens"])))
    found.sort()
    return [(at - found[0][0], tokens_in, tokens_out) for at, tokens_in, tokens_out in found]


def _retried(completion: UUID, provider: str, model: str, hold: Decimal | None) -> AttemptFailed:
    return AttemptFailed(
        completion_id=completion,
        attempt=1,
        provider=provider,
        model=model,
        error="rate_limited",
        detail="The provider asks for patience.",
        retryable=True,
        status=429,
        duration=0.2,
        next_attempt=Attempt(2, provider, model, hold),
    )


def _pieces(rows: Iterator[StoredEvent], size: int) -> Iterator[list[StoredEvent]]:
    while piece := [row for _, row in zip(range(size), rows, strict=False)]:
        yield piece
