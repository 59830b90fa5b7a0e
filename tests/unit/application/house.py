from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from send2llm.application.background import Background
from send2llm.application.context import Context
from send2llm.application.intents import Intents, SendMessage
from send2llm.application.outcomes import Outcomes
from send2llm.application.patience import Caller, Timeouts
from send2llm.application.retries import RetryPolicy
from send2llm.application.send_message import MessageSender
from send2llm.domain.completion import Parameters
from send2llm.domain.message import Message, TextPart
from send2llm.domain.money import Price, Rate
from send2llm.domain.routing import ModelNames
from send2llm.testing.clock import FakeClock, FixedRandomness, SequentialIdentifiers
from send2llm.testing.conversations import InMemoryConversations
from send2llm.testing.observer import RecordingObserver
from send2llm.testing.providers import FakeProvider, FakeProviders

PRICE = Price("test prices 1", Rate(Decimal(3)), Rate(Decimal(15)))


class PriceList:
    def price(self, provider: str, model: str) -> Price | None:
        return None if model == "unpriced" else PRICE


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


def assistant(text: str) -> Message:
    return Message("assistant", (TextPart(text),))


@dataclass
class House:
    """The use case with everything around it in memory."""

    providers: Sequence[FakeProvider] = field(default_factory=lambda: [FakeProvider("fake")])
    routes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.identifiers = SequentialIdentifiers()
        self.conversations = InMemoryConversations(self.clock)
        self.observer = RecordingObserver()
        self.background = Background()
        self.caller = Caller()
        names = ModelNames({provider.name: () for provider in self.providers}, self.routes)
        prices = PriceList()
        intents = Intents(self.conversations, names, prices, self.clock, self.identifiers, self.timeouts, "process-1")
        outcomes = Outcomes(self.conversations, prices, self.clock, self.observer, self.background)
        self.sender = MessageSender(
            intents, outcomes, FakeProviders(*self.providers), self.retries, self.clock, FixedRandomness()
        )

    @property
    def provider(self) -> FakeProvider:
        return self.providers[0]

    def command(self, *messages: Message, **more: object) -> SendMessage:
        values = {"model": "fake/fake-model", "parameters": Parameters(), **more}
        return SendMessage(messages=messages or (user("Hi"),), **values)

    def context(self) -> Context:
        return Context(correlation_id=self.identifiers.new())

    async def complete(self, *messages: Message, **more: object):
        return await self.sender.complete(self.command(*messages, **more), self.caller, self.context())

    async def stream(self, *messages: Message, **more: object):
        command = self.command(*messages, streaming=True, **more)
        return await self.sender.stream(command, self.caller, self.context())

    async def streamed(self, *messages: Message, **more: object):
        """A stream, read to its end; what it was handed over in."""
        stream = await self.stream(*messages, **more)
        return [batch async for batch in stream.batches()]

    @property
    def topics(self) -> list[str]:
        return [event.topic.removeprefix("conversation.") for event in self.conversations.events]

    def last(self, kind: type):
        return next(e.event for e in reversed(self.conversations.events) if isinstance(e.event, kind))

    def conversation_ids(self) -> set[UUID]:
        streams = {event.stream for event in self.conversations.events}
        return {UUID(stream.removeprefix("conversation-")) for stream in streams if "conversation-" in stream}
