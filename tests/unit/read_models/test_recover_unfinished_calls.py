"""Recovery: who is dead is decided twice, who was first wins."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from send2llm.application.context import Context
from send2llm.application.recovery import ASSUMED, RecoverUnfinishedCalls
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import StoreUnavailable
from send2llm.testing.clock import FakeClock, SequentialIdentifiers
from send2llm.testing.conversations import InMemoryConversations
from send2llm.testing.event_writer import received, requested, said
from send2llm.testing.history import InMemoryHistory


class LivingProcesses:
    """Processes that are alive until they are not; ``looks`` counts how often somebody asked."""

    def __init__(self, *names: str) -> None:
        self.alive = set(names)
        self.looks = 0
        self.at_look: dict[int, Callable[[], None]] = {}

    async def is_alive(self, process: str) -> bool:
        self.looks += 1
        self.at_look.get(self.looks, lambda: None)()
        return process in self.alive


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.conversations = InMemoryConversations(self.clock)
        self.processes = LivingProcesses()
        self.history = InMemoryHistory()

    async def begin(self, process: str) -> tuple[UUID, UUID]:
        """A call that is waiting for its answer."""
        conversation, completion_id = Conversation.start(uuid4()), uuid4()
        conversation.add_messages([said("hello").message])
        conversation.request_completion(requested(completion_id, process=process))
        await self.conversations.save(conversation, Context(uuid4(), tenant="acme"))
        self.history.fold(await self.conversations.events_of(conversation.id))
        return conversation.id, completion_id

    async def answer(self, conversation_id: UUID, completion_id: UUID) -> None:
        conversation = await self.conversations.load(conversation_id)
        conversation.receive_completion(received(completion_id))
        await self.conversations.save(conversation, Context(uuid4()))

    @property
    def recover(self) -> RecoverUnfinishedCalls:
        return RecoverUnfinishedCalls(
            self.history, self.processes, self.conversations, SequentialIdentifiers(), self.clock, patience=5.0
        )


@pytest.fixture
def world() -> World:
    return World()


async def test_a_call_of_a_dead_process_is_interrupted(world: World) -> None:
    conversation_id, completion_id = await world.begin("dead")
    recovery = await world.recover()
    assert [call.completion_id for call in recovery.interrupted] == [completion_id]
    event = (await world.conversations.load(conversation_id)).ending(completion_id).event
    assert (event.reason, event.assumed, event.cost_usd) == ("process_gone", ASSUMED, None)
    assert event.attempts == 1
    recorded = (await world.conversations.events_of(conversation_id))[-1]
    assert (recorded.metadata.actor, recorded.metadata.tenant) == ("send2llm", "acme")


async def test_a_call_of_a_living_process_is_left_alone(world: World) -> None:
    await world.begin("alive")
    world.processes.alive = {"alive"}
    recovery = await world.recover()
    assert not recovery.interrupted
    assert not recovery.others
    assert world.clock.slept == []


async def test_a_process_that_only_lost_its_connection_gets_time(world: World) -> None:
    await world.begin("blinking")
    world.processes.at_look[2] = lambda: world.processes.alive.add("blinking")
    assert not (await world.recover()).interrupted
    assert world.clock.slept == [5.0]


async def test_a_call_that_ended_meanwhile_belongs_to_others(world: World) -> None:
    ids = await world.begin("dead")
    await world.answer(*ids)
    recovery = await world.recover()
    assert not recovery.interrupted
    assert [call.completion_id for call in recovery.others] == [ids[1]]


async def test_two_may_recover_at_once(world: World) -> None:
    conversation_id, _ = await world.begin("dead")
    await world.recover()
    assert (await world.recover()).others
    assert (await world.conversations.load(conversation_id)).version == 4


async def test_an_answer_still_counts_after_its_call_was_written_off(world: World) -> None:
    ids = await world.begin("dead")
    await world.recover()
    await world.answer(*ids)
    assert (await world.conversations.load(ids[0])).messages[-1].role == "assistant"


async def test_each_process_is_asked_for_once_a_look(world: World) -> None:
    for _ in range(5):
        await world.begin("dead")
    assert len((await world.recover()).interrupted) == 5
    assert world.processes.looks == 2


async def test_when_the_store_is_away_the_caller_hears_it(world: World) -> None:
    await world.begin("dead")
    world.conversations.available = False
    with pytest.raises(StoreUnavailable):
        await world.recover()
