from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from send2llm.application.admission import Admission
from send2llm.application.background import Background
from send2llm.application.budgets.call_bounds import CallBounds
from send2llm.application.budgets.closing import CloseEndedPeriods
from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.holds import Holds
from send2llm.application.budgets.lender import Lender
from send2llm.application.budgets.opening import Opening
from send2llm.application.budgets.patient_borrower import PatientBorrower
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.charges import Charges
from send2llm.application.context import DEFAULT_TENANT, Context
from send2llm.application.doubtful_intents import DoubtfulIntents
from send2llm.application.handler_chain import HandlerChain
from send2llm.application.handler_surroundings import HandlerSurroundings
from send2llm.application.handlers import Handler
from send2llm.application.intents import Intents
from send2llm.application.outcomes import Outcomes
from send2llm.application.patience import Caller, Timeouts
from send2llm.application.retries import RetryPolicy
from send2llm.application.send_command import SendMessage
from send2llm.application.send_message import MessageSender
from send2llm.application.templates import TemplateCommands, TemplateShelf
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_scope import BudgetScope
from send2llm.domain.completion import Parameters
from send2llm.domain.message import Message, TextPart
from send2llm.domain.money import Price, Rate
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.domain.routing import ModelNames
from send2llm.infrastructure.system import TimeOrderedIdentifiers
from send2llm.testing.budgets import FakeRecalls, InMemoryBudgets, RecordingBudgetObserver
from send2llm.testing.clock import FakeClock, FixedRandomness
from send2llm.testing.conversations import InMemoryConversations
from send2llm.testing.event_store import InMemoryEventStore
from send2llm.testing.observer import RecordingObserver
from send2llm.testing.providers import FakeProvider, FakeProviders
from send2llm.testing.templates import InMemoryTemplates

FAKE_PROVIDER = BudgetScope("fake")
PRICE = Price("test prices 1", Rate(Decimal(3)), Rate(Decimal(15)))


class PriceList:
    def price(self, provider: str, model: str) -> Price | None:
        return None if model == "unpriced" else PRICE

    def of_version(self, version: str) -> Price | None:
        return PRICE if version == PRICE.version else None


class Windows:
    """What the price catalogue knows: just one model."""

    def context_window(self, provider: str, model: str) -> int | None:
        return 1000 if model == "small-model" else None


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
    policy: BudgetPolicy = field(default_factory=BudgetPolicy)
    store: InMemoryEventStore | None = None
    """That of another house, to be another process of the same service."""
    process: str = "process-1"
    tenant: str = DEFAULT_TENANT
    handlers: Sequence[Handler] = ()
    conversations_kind: type[InMemoryConversations] = InMemoryConversations

    clock: FakeClock = field(default_factory=FakeClock)
    recalls: FakeRecalls = field(default_factory=FakeRecalls)

    def __post_init__(self) -> None:
        self.identifiers = TimeOrderedIdentifiers()
        self.store = self.store or InMemoryEventStore()
        self.conversations = self.conversations_kind(self.clock, store=self.store)
        self.budgets = InMemoryBudgets(self.store, self.clock, self.identifiers)
        self.budget_observer = RecordingBudgetObserver()
        self.observer = RecordingObserver()
        self.background = Background()
        self.caller = Caller()
        names = ModelNames({provider.name: () for provider in self.providers}, self.routes)
        prices = PriceList()
        self.holds = self._holds(prices)
        admission = Admission(self.holds)
        doubts = DoubtfulIntents(self.conversations, self.clock, self.background)
        intents = Intents(
            self.conversations,
            admission,
            names,
            prices,
            self.clock,
            self.identifiers,
            self.timeouts,
            doubts,
            self.process,
        )
        outcomes = Outcomes(self.conversations, Charges(prices), self.clock, self.observer, self.background)
        providers = FakeProviders(*self.providers)
        self.templates = InMemoryTemplates(self.store, self.clock, self.identifiers)
        shelf = TemplateShelf(self.templates, self.clock)
        self.template_commands = TemplateCommands(self.templates, shelf)
        chain = HandlerChain(self.handlers, HandlerSurroundings(self.conversations, shelf, Windows()))
        self.sender = MessageSender(
            intents, admission, outcomes, providers, self.retries, self.clock, FixedRandomness(), chain
        )

    def _holds(self, prices: PriceList) -> Holds:
        self.directory = BudgetDirectory(self.budgets)
        opening = Opening(self.budgets, self.directory)
        lender = Lender(
            self.budgets, opening, self.clock, self.identifiers, self.policy, self.budget_observer, self.process
        )
        borrower = PatientBorrower(lender, self.recalls, self.clock, self.policy, self.budget_observer)
        return Holds(self.directory, CallBounds(prices, self.policy), lender, borrower, self.clock, self.policy)

    async def budget(self, limit: str, scope: BudgetScope = FAKE_PROVIDER, **terms: object) -> BudgetPlan:
        """Define a budget, for all of time unless ``terms`` say otherwise."""
        terms = {"recurrence": Recurrence("total"), "thresholds": (), **terms}
        plan = BudgetPlan.define(self.identifiers.new(), scope=scope, limit=Decimal(limit), **terms)
        await self.budgets.save(plan, context=self.context())
        await self.holds.refresh()
        return plan

    def closing(self) -> CloseEndedPeriods:
        return CloseEndedPeriods(self.budgets, self.directory, self.clock, self.identifiers)

    async def period(self, plan: BudgetPlan) -> ProviderBudget:
        """The books of the period that runs now."""
        return await self.budgets.period(plan.id, plan.recurrence.containing(self.clock.now()).key)

    @property
    def provider(self) -> FakeProvider:
        return self.providers[0]

    def command(self, *messages: Message, **more: object) -> SendMessage:
        values = {"model": "fake/fake-model", "parameters": Parameters(), **more}
        return SendMessage(messages=messages or (user("Hi"),), **values)

    def context(self) -> Context:
        return Context(correlation_id=self.identifiers.new(), tenant=self.tenant)

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
