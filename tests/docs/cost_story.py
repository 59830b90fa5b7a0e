"""The history that examples/cost_analysis.md looks at: three days, three models, two tenants."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from send2llm.domain.completion import Usage
from send2llm.domain.conversation_events import AttemptFailed, CompletionInterrupted, ConversationStarted
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, received, requested, said

PRICES = {
    ("openai", "gpt-5-mini"): (Decimal("0.25"), Decimal("0.025"), Decimal(2)),
    ("anthropic", "claude-haiku-4-5"): (Decimal(1), Decimal("0.1"), Decimal(5)),
}
"""US dollars for a million tokens: input, input from the cache, output."""


class CostStory:
    """Tells it to a log, at times of its own."""

    def __init__(self, writer: EventWriter) -> None:
        self._writer = writer
        self._calls = 0
        self._begun: set[int] = set()

    def tell(self) -> None:
        monday = datetime(2026, 11, 23, 9, tzinfo=UTC)
        tuesday, wednesday = monday + timedelta(days=1), monday + timedelta(days=2)
        for hour in range(5):  # a conversation that grows, and that the provider's cache remembers
            self.call(1, monday + timedelta(hours=hour), "acme", "anthropic", 4000 * (hour + 1), 500, 4000 * hour)
        for number in range(8):
            self.call(10 + number, tuesday, "default", "openai", 1000 + 100 * number, 300)
        self.call(2, tuesday, "acme", "openai", 12_000, 800, 10_000)
        self.call(3, wednesday, "acme", "anthropic", 2000, 400, failed_usd=Decimal("0.002"))
        self.lost(4, wednesday, "default", Decimal("0.05"))
        for number in range(3):
            self.call(20 + number, wednesday, "default", "house", 900, 200)

    def call(
        self,
        conversation: int,
        at: datetime,
        tenant: str,
        provider: str,
        given: int,
        taken: int,
        cached: int = 0,
        *,
        failed_usd: Decimal | None = None,
    ) -> None:
        """An answer; ``failed_usd`` is what a first attempt cost that broke off."""
        completion, model = self._begin(conversation, at, tenant, provider)
        price = PRICES.get((provider, model))
        cost = None
        if price is not None:
            cost = ((given - cached) * price[0] + cached * price[1] + taken * price[2]) / 1_000_000
        events = [] if failed_usd is None else [_broken(completion, provider, model, failed_usd)]
        usage = Usage(given, taken, cache_read_input_tokens=cached)
        answer = received(completion, provider=provider, model=model, usage=usage, cost_usd=cost)
        answer = replace(answer, attempts=1 + len(events))
        self._writer.write(UUID(int=conversation), *events, answer, at=at + timedelta(seconds=3), tenant=tenant)

    def lost(self, conversation: int, at: datetime, tenant: str, hold_usd: Decimal) -> None:
        """A call whose process died: nobody knows what it cost, and its hold is assumed."""
        completion, model = self._begin(conversation, at, tenant, "openai")
        end = CompletionInterrupted(
            completion_id=completion, reason="process_gone", cost_usd=hold_usd, assumed="its hold", attempts=1,
            provider="openai", model=model,
        )  # fmt: skip
        self._writer.write(UUID(int=conversation), end, at=at + timedelta(minutes=1), tenant=tenant)

    def _begin(self, conversation: int, at: datetime, tenant: str, provider: str) -> tuple[UUID, str]:
        self._calls += 1
        models = {"openai": "gpt-5-mini", "anthropic": "claude-haiku-4-5", "house": "llama"}
        completion, model = UUID(int=1000 + self._calls), models[provider]
        asked = [said(f"Question {self._calls}"), requested(completion, provider=provider, model=model)]
        events = asked if conversation in self._begun else [ConversationStarted(), *asked]
        self._begun.add(conversation)
        self._writer.write(UUID(int=conversation), *events, at=at, tenant=tenant)
        return completion, model


def _broken(completion: UUID, provider: str, model: str, cost_usd: Decimal) -> AttemptFailed:
    return AttemptFailed(
        completion_id=completion, attempt=1, provider=provider, model=model, error="overloaded", detail="",
        retryable=True, status=529, duration=1.0, cost_usd=cost_usd, next_attempt=Attempt(2, provider, model),
    )  # fmt: skip


def tell_cost_story(database: ConnectionInfo) -> None:
    """Store it in a migrated database."""
    with EventWriter(database) as writer:
        CostStory(writer).tell()
