"""What every store of budgets does, in memory as in PostgreSQL; and money that is held with what it is held for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from send2llm.application.budgets.ports import Budgets
from send2llm.application.context import Context
from send2llm.application.ports import AllowanceHold, Conversations
from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_scope import BudgetScope
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import (
    AllowanceIsClosed,
    BudgetNotFound,
    BudgetPeriodNotFound,
    ConversationNotFound,
    StaleBudget,
    StaleConversation,
    StoreUnavailable,
)
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.domain.provider_budget_events import PeriodClosed, PeriodOpened
from send2llm.infrastructure.event_store.budgets import EventSourcedBudgets
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.system import SystemClock, TimeOrderedIdentifiers
from send2llm.testing.budget_stories import NOVEMBER, usd
from send2llm.testing.budgets import InMemoryBudgets
from send2llm.testing.conversation_stories import answered, asked, user
from send2llm.testing.conversations import InMemoryConversations
from send2llm.testing.event_store import InMemoryEventStore

CONTEXT = Context(correlation_id=UUID(int=1), causation_id=UUID(int=2), actor="ann", tenant="acme")
EXPIRY = datetime(2026, 11, 23, 12, 15, tzinfo=UTC)


@dataclass
class Store:
    """Budgets under test with conversations beside them, and both as another process sees them."""

    budgets: Budgets
    conversations: Conversations
    elsewhere: Budgets
    conversations_elsewhere: Conversations


@asynccontextmanager
async def in_memory(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    store = InMemoryEventStore()
    budgets, conversations = InMemoryBudgets(store), InMemoryConversations(store=store)
    yield Store(budgets, conversations, budgets, conversations)


@asynccontextmanager
async def postgresql(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    make_recorder, database = request.getfixturevalue("make_recorder"), request.getfixturevalue("database")
    parts = EventCodec(EventRegistry.default()), SystemClock(), TimeOrderedIdentifiers()
    async with AsyncConnectionPool(database.dsn, kwargs={"autocommit": True}, open=False) as pool:
        recorders = make_recorder(), make_recorder()
        one, other = (EventSourcedBudgets(recorder, pool, *parts) for recorder in recorders)
        mine, theirs = (EventSourcedConversations(recorder, pool, *parts) for recorder in recorders)
        yield Store(one, mine, other, theirs)


@pytest.fixture(params=[in_memory, postgresql], ids=lambda param: param.__name__)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    async with request.param(request) as store:
        yield store


def plan(limit: str = "10") -> BudgetPlan:
    terms = {"scope": BudgetScope("openai"), "recurrence": Recurrence("month"), "thresholds": (50,)}
    return BudgetPlan.define(uuid4(), limit=usd(limit), **terms)


async def opened(store: Store) -> ProviderBudget:
    """A plan and its first period, stored."""
    defined = plan()
    budget = ProviderBudget.open(defined, NOVEMBER)
    await store.budgets.save(defined, budget, context=CONTEXT)
    return budget


def grant(budget: ProviderBudget, amount: str = "1") -> UUID:
    allowance_id = uuid4()
    budget.grant(allowance_id, holder="p", wanted=usd(amount), minimum=usd(amount), expires_at=EXPIRY)
    return allowance_id


def hold(allowance_id: UUID, conversation: Conversation, amount: str = "0.25", attempt: int = 1) -> AllowanceHold:
    taken = HoldTaken(
        budget_id=UUID(int=7),
        period_key=NOVEMBER.key,
        conversation_id=conversation.id,
        completion_id=uuid4(),
        attempt=attempt,
        amount_usd=usd(amount),
    )
    return AllowanceHold(allowance_id, taken)


def asking() -> Conversation:
    conversation = Conversation.start(uuid4())
    conversation.add_messages([user("Hi")])
    conversation.request_completion(asked())
    return conversation


async def close(budgets: Budgets, allowance_id: UUID) -> None:
    await budgets.close_allowance(allowance_id, "lapsed", context=CONTEXT)


class TestBudgets:
    async def test_what_was_saved_comes_back(self, store):
        defined = plan()
        await store.budgets.save(defined, context=CONTEXT)
        found = await store.elsewhere.plan(defined.id)
        assert (found.limit, found.scope, found.version) == (usd("10"), BudgetScope("openai"), 1)

    async def test_what_is_not_there_is_not_found(self, store):
        with pytest.raises(BudgetNotFound):
            await store.budgets.plan(uuid4())
        with pytest.raises(BudgetPeriodNotFound, match="Nothing was spent"):
            await store.budgets.period(uuid4(), "2026-11")
        assert (await store.budgets.allowance(uuid4())).version == 0
        assert await store.budgets.events(uuid4()) == []

    async def test_a_period_is_the_callers_own(self, store):
        budget = await opened(store)
        mine = await store.budgets.period(budget.budget_id, NOVEMBER.key)
        grant(mine)
        assert (await store.budgets.period(budget.budget_id, NOVEMBER.key)).balance.lent == 0

    async def test_a_fresh_one_has_what_others_stored(self, store):
        budget = await opened(store)
        theirs = await store.elsewhere.period(budget.budget_id, NOVEMBER.key)
        grant(theirs)
        await store.elsewhere.save(theirs, context=CONTEXT)
        assert (await store.budgets.period(budget.budget_id, NOVEMBER.key)).balance.lent == 1

    async def test_catching_up_makes_many_fresh_at_once(self, store):
        budgets = [await opened(store) for _ in range(3)]
        keys = [(budget.budget_id, NOVEMBER.key) for budget in budgets]
        for key in keys[:2]:
            theirs = await store.elsewhere.period(*key)
            grant(theirs)
            await store.elsewhere.save(theirs, context=CONTEXT)
        await store.budgets.catch_up([*keys, (uuid4(), NOVEMBER.key)])
        lent = [(await store.budgets.period(*key, fresh=False)).balance.lent for key in keys]
        assert lent == [1, 1, 0]

    async def test_the_second_of_two_who_knew_the_same_is_told(self, store):
        budget = await opened(store)
        first, second = [await store.budgets.period(budget.budget_id, NOVEMBER.key) for _ in range(2)]
        grant(first)
        await store.budgets.save(first, context=CONTEXT)
        grant(second)
        with pytest.raises(StaleBudget):
            await store.budgets.save(second, context=CONTEXT)
        assert (await store.budgets.period(budget.budget_id, NOVEMBER.key)).balance.lent == 1

    async def test_several_are_saved_all_or_none(self, store):
        budget = await opened(store)
        stale = await store.budgets.period(budget.budget_id, NOVEMBER.key)
        grant(budget)
        await store.budgets.save(budget, context=CONTEXT)
        other = plan()
        grant(stale)
        with pytest.raises(StaleBudget):
            await store.budgets.save(other, stale, context=CONTEXT)
        with pytest.raises(BudgetNotFound):
            await store.budgets.plan(other.id)

    async def test_nothing_new_is_nothing_to_save(self, store):
        budget = await opened(store)
        await store.budgets.save(budget, context=CONTEXT)
        assert len(await store.budgets.events(budget.budget_id, NOVEMBER.key)) == 1

    async def test_many_who_borrow_at_once_borrow_no_more_than_there_is(self, store):
        budget = await opened(store)

        async def borrow(budgets: Budgets) -> int:
            got = 0
            while got < 5:
                mine = await budgets.period(budget.budget_id, NOVEMBER.key, fresh=got == 0)
                if mine.balance.left < 1:
                    return got
                grant(mine)
                try:
                    await budgets.save(mine, context=CONTEXT)
                except StaleBudget:
                    mine = await budgets.period(budget.budget_id, NOVEMBER.key)
                    continue
                got += 1
            return got

        got = await asyncio.gather(*(borrow(budgets) for budgets in (store.budgets, store.elsewhere) * 4))
        balance = (await store.budgets.period(budget.budget_id, NOVEMBER.key)).balance
        assert (sum(got), balance.lent, balance.left) == (10, 10, 0)

    async def test_changes_tell_which_budgets_there_are(self, store):
        budget = await opened(store)
        busy = await store.budgets.period(budget.budget_id, NOVEMBER.key)
        allowance_id = grant(busy)
        busy.settle(allowance_id, usd("1"))
        busy.close()
        await store.budgets.save(busy, context=CONTEXT)
        await store.conversations.save(asking(), CONTEXT)
        changes = await store.elsewhere.changes(0)
        assert [(one.budget_id, one.period_key, type(one.event)) for one in changes[1:]] == [
            (budget.budget_id, NOVEMBER.key, PeriodOpened),
            (budget.budget_id, NOVEMBER.key, PeriodClosed),
        ]
        assert changes[0].period_key is None
        assert [one.position for one in await store.elsewhere.changes(changes[1].position)] == [changes[2].position]

    async def test_the_events_of_each_stream(self, store):
        budget = await opened(store)
        allowance_id = grant(budget)
        await store.budgets.save(budget, context=CONTEXT)
        await store.conversations.save(one := asking(), CONTEXT, holds=[hold(allowance_id, one)])
        topics = [
            [event.topic for event in await events]
            for events in (
                store.budgets.events(budget.budget_id),
                store.budgets.events(budget.budget_id, NOVEMBER.key),
                store.budgets.hold_events(allowance_id),
            )
        ]
        assert topics == [
            ["budget_plan.defined"],
            ["budget.period_opened", "budget.allowance_granted"],
            ["allowance.hold_taken"],
        ]


class TestHolds:
    async def test_are_stored_with_what_they_are_for(self, store):
        one, other = uuid4(), uuid4()
        conversation = asking()
        held = [hold(one, conversation), hold(other, conversation), hold(one, conversation, attempt=2)]
        await store.conversations.save(conversation, CONTEXT, holds=held)
        first = await store.elsewhere.allowance(one)
        assert list(first.holds.values()) == [held[0].event, held[2].event]
        assert (first.version, (await store.elsewhere.allowance(other)).version) == (2, 1)
        (event, _) = await store.budgets.hold_events(one)
        assert (event.version, event.metadata.tenant, event.metadata.actor) == (1, "acme", "ann")

    async def test_go_behind_what_their_allowance_has(self, store):
        allowance_id = uuid4()
        for _ in range(3):
            conversation = asking()
            await store.conversations.save(conversation, CONTEXT, holds=[hold(allowance_id, conversation)])
        assert [one.version for one in await store.budgets.hold_events(allowance_id)] == [1, 2, 3]

    async def test_from_a_closed_allowance_are_refused_with_what_they_are_for(self, store):
        allowance_id, open_one = uuid4(), uuid4()
        await close(store.elsewhere, allowance_id)
        conversation = asking()
        with pytest.raises(AllowanceIsClosed) as refusal:
            await store.conversations.save(
                conversation, CONTEXT, holds=[hold(open_one, conversation), hold(allowance_id, conversation)]
            )
        assert refusal.value.allowance_id == allowance_id
        with pytest.raises(ConversationNotFound):
            await store.conversations.load(conversation.id, fresh=True)
        assert (await store.budgets.allowance(open_one)).version == 0

    async def test_are_not_stored_when_the_conversation_was_changed_meanwhile(self, store):
        conversation = asking()
        await store.conversations.save(conversation, CONTEXT)
        mine, theirs = [await store.conversations.load(conversation.id) for _ in range(2)]
        theirs.receive_completion(answered("Hello"))
        await store.conversations_elsewhere.save(theirs, CONTEXT)
        mine.receive_completion(answered("Hello there"))
        allowance_id = uuid4()
        with pytest.raises(StaleConversation):
            await store.conversations.save(mine, CONTEXT, holds=[hold(allowance_id, mine)])
        assert (await store.budgets.allowance(allowance_id)).version == 0

    async def test_in_a_storm_of_conflicts_those_that_fit_are_stored(self, store):
        """Appends that are refused, in the same batches as others, take nothing from these."""
        allowance_id, closed = uuid4(), uuid4()
        await close(store.budgets, closed)

        async def call(number: int) -> str:
            conversation = asking()
            try:
                await store.conversations.save(
                    conversation, CONTEXT, holds=[hold(closed if number % 3 == 0 else allowance_id, conversation)]
                )
            except AllowanceIsClosed:
                return "refused"
            return "stored"

        results = Counter(await asyncio.gather(*(call(number) for number in range(90))))
        assert results == {"stored": 60, "refused": 30}
        events = await store.budgets.hold_events(allowance_id)
        assert [one.version for one in events] == list(range(1, 61))
        assert len(await store.budgets.hold_events(closed)) == 1

    async def test_none_is_ever_stored_behind_the_close(self, store):
        """The fence: whoever closes an allowance has then read every hold that there will ever be."""
        for _ in range(25):
            race = Race(store, uuid4())
            *held, counted = await asyncio.gather(race.spend(), race.spend(), race.spend(), race.take_away())
            events = await store.budgets.hold_events(race.allowance_id)
            assert sum(held) == counted == len(events) - 1
            assert isinstance(events[-1].event, AllowanceClosed)
            assert [one.version for one in events] == list(range(1, len(events) + 1))


class Race:
    """Holders that are in full swing when their allowance is closed by another process."""

    def __init__(self, store: Store, allowance_id: UUID) -> None:
        self.allowance_id = allowance_id
        self._store = store
        self._in_full_swing, self._over = asyncio.Event(), asyncio.Event()

    async def spend(self) -> int:
        held = 0
        while not self._over.is_set():
            await asyncio.sleep(0)  # in memory nothing else would let the others run
            conversation = asking()
            holds = [hold(self.allowance_id, conversation)]
            try:
                await self._store.conversations.save(conversation, CONTEXT, holds=holds)
            except AllowanceIsClosed:
                break
            held += 1
            if held == 3:
                self._in_full_swing.set()
        return held

    async def take_away(self) -> int:
        await self._in_full_swing.wait()
        allowance = await self._store.elsewhere.close_allowance(self.allowance_id, "lapsed", context=CONTEXT)
        self._over.set()
        return len(allowance.holds)


async def test_nothing_can_be_done_while_the_store_is_away():
    store = InMemoryEventStore()
    budgets = InMemoryBudgets(store)
    store.available = False
    for asking_for in (
        budgets.plan(uuid4()),
        budgets.period(uuid4(), "total"),
        budgets.allowance(uuid4()),
        budgets.changes(0),
        budgets.catch_up([]),
        budgets.events(uuid4()),
        budgets.hold_events(uuid4()),
        budgets.save(plan(), context=CONTEXT),
    ):
        with pytest.raises(StoreUnavailable):
            await asking_for
