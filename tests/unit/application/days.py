"""Whole days of a service of two processes, in memory: calls, crashes, lost answers, late ones, closed books."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from house import House

from send2llm.application.budgets.abandoned import SettleAbandonedAllowances
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.patience import Caller, CallerLeft
from send2llm.application.recovery import RecoverUnfinishedCalls
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetScope
from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.errors import (
    ConnectionFailed,
    MalformedReply,
    Overloaded,
    Send2LLMError,
    StoreUnavailable,
    StreamBroken,
)
from send2llm.testing.conversations import LossyConversations
from send2llm.testing.history import InMemoryHistory
from send2llm.testing.providers import Broken, FakeProvider, Held, Outcome, answer

SHORT = Parameters(max_output_tokens=20)
ANSWER = answer("one two three", usage=Usage(10, 20))

OUTCOMES: dict[str, Outcome] = {
    "answer": ANSWER,
    "dear": answer("one two three", usage=Usage(10, 400)),
    "without usage": answer("one two three"),
    "busy": Overloaded("busy", status=503),
    "lost": ConnectionFailed("lost"),
    "malformed": MalformedReply("what?"),
    "broken": Broken(ANSWER, StreamBroken("it broke"), after=2),
}
"""``dear`` is more than any call holds."""

PROCESSES = 2
LIMITS = {"service": "0.08", "first, by the hour": "0.03", "second": "0.02"}


class Lives:
    """Who seems to be gone, rightly or wrongly."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    async def is_alive(self, process: str) -> bool:
        return process not in self.gone


@dataclass(eq=False)
class Running:
    """A call that waits for its provider."""

    house: House
    task: asyncio.Task
    gate: asyncio.Event
    caller: Caller


class Day:
    """What happens, one thing after the other; each thing names its processes and calls by any number."""

    def __init__(self) -> None:
        self.lives = Lives()
        self.running: list[Running] = []
        self._started: list[Running] = []
        """All that ever ran: an attempt may find the outcome that was scripted for another call, and go on waiting."""
        self._numbers = count(1)
        first = self._house()
        self.store, self.clock, self.recalls, self.policy = first.store, first.clock, first.recalls, first.policy
        self.houses = [first, *(self._beside() for _ in range(PROCESSES - 1))]

    async def begin(self) -> None:
        """Three budgets, of which every call needs two."""
        house = self.houses[0]
        await house.budget(LIMITS["service"], WHOLE_SERVICE)
        hour = Recurrence("hour")
        await house.budget(LIMITS["first, by the hour"], BudgetScope("first"), recurrence=hour, carry_over=True)
        await house.budget(LIMITS["second"], BudgetScope("second"))
        self.clock.advance(120)  # everybody knows of them
        await self._refresh()

    async def end(self) -> None:
        """All answers come, what is dead is written off, and all money goes home."""
        for one in self._started:
            one.gate.set()
        await self._rest()
        for house in self.houses:
            await house.background.drain(2)
            house.conversations.losses.clear()
            vars(house.budgets).pop("save", None)
            await house.holds.close()
        self.lives.gone -= {house.process for house in self.houses}
        self.clock.advance(self.policy.allowance + 2)  # of what was lent in vain, because the answer got lost
        await self.recover(0)
        await self.settle(0)

    # What may happen

    async def call(self, process: int, outcomes: list[str], model: str, streamed: bool) -> None:
        """A call that is over at once."""
        house = self._at(process)
        for provider in house.providers:
            provider.script(*[OUTCOMES[name] for name in outcomes])
        await self._expected(self._ask(house, model, streamed, Caller()))

    async def start(self, process: int, outcome: str, model: str, streamed: bool) -> None:
        """A call whose answer comes later, or never."""
        house, gate, caller = self._at(process), asyncio.Event(), Caller()
        for provider in house.providers:
            provider.script(Held(OUTCOMES[outcome], gate, after=2 if streamed else 0))
        task = asyncio.create_task(self._expected(self._ask(house, model, streamed, caller)))
        self.running.append(Running(house, task, gate, caller))
        self._started.append(self.running[-1])
        await self._rest()

    async def answer(self, number: int) -> None:
        """An answer comes, perhaps to a call that was written off."""
        if self.running:
            self.running.pop(number % len(self.running)).gate.set()
            await self._rest()

    async def leave(self, number: int) -> None:
        """A caller does not wait any longer."""
        if self.running:
            one = self.running.pop(number % len(self.running))
            one.caller.leave()
            await asyncio.wait([one.task])

    async def lose(self, process: int, losses: list[bool | None]) -> None:
        """Answers to the next appends get lost."""
        self._at(process).conversations.losses = deque(losses)

    async def lose_budgets(self, process: int, losses: list[bool | None]) -> None:
        """The same, when budgets are saved."""
        budgets = self._at(process).budgets
        budgets.save = _losing(type(budgets).save.__get__(budgets), losses)

    async def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    async def tidy(self, process: int) -> None:
        """A process looks after its money."""
        await self._refresh()
        with suppress(StoreUnavailable):
            await self._at(process).holds.tidy()

    async def kill(self, process: int) -> None:
        """A process ends as if by ``kill -9``, and another one starts."""
        house = self._at(process)
        self.lives.gone.add(house.process)
        for port in (house.conversations, house.budgets):
            for name in ("load", "save", "period", "plan"):
                if hasattr(port, name):
                    setattr(port, name, _never)
        self.running = [one for one in self.running if one.house is not house]
        for one in self._started:
            if one.house is house:
                one.task.cancel()
                await asyncio.wait([one.task])
        await house.background.drain(0)
        self.houses[self.houses.index(house)] = fresh = self._beside()
        await fresh.holds.refresh()

    async def suspect(self, process: int) -> None:
        """A process that lives seems to be gone for a while."""
        self.lives.gone.add(self._at(process).process)
        await self.recover(process + 1)
        await self.settle(process + 1)
        self.lives.gone.discard(self._at(process).process)

    async def recover(self, process: int) -> None:
        """Calls of the dead are written off."""
        house, history = self._at(process), InMemoryHistory()
        history.fold([one for one in self.store.events if one.stream.startswith("conversation-")])
        recover = RecoverUnfinishedCalls(history, self.lives, house.conversations, house.identifiers, self.clock)
        with suppress(StoreUnavailable):  # the next look finds what is left to do
            await recover()

    async def settle(self, process: int) -> None:
        """Money of the dead, and what nobody renewed, is settled."""
        await self._refresh()
        house = self._at(process)
        settle = SettleAbandonedAllowances(
            house.budgets,
            house.directory,
            house.conversations,
            self.lives,
            self.clock,
            house.identifiers,
            house.budget_observer,
        )
        with suppress(StoreUnavailable):
            await settle()

    async def close(self, process: int) -> None:
        """Books of periods that are over are closed."""
        await self._refresh()
        with suppress(StoreUnavailable):
            await self._at(process).closing()()

    # How it is done

    def _house(self, **shared: object) -> House:
        return House(
            providers=[FakeProvider("first"), FakeProvider("second")],
            routes={"any": ["first/m", "second/m"]},
            process=f"process-{next(self._numbers)}",
            conversations_kind=LossyConversations,
            **{"policy": BudgetPolicy(allowance=600, idle=5, recall=0.5), **shared},
        )

    def _beside(self) -> House:
        return self._house(store=self.store, clock=self.clock, recalls=self.recalls, policy=self.policy)

    def _at(self, process: int) -> House:
        return self.houses[process % len(self.houses)]

    async def _refresh(self) -> None:
        for house in self.houses:
            await house.holds.refresh()

    async def _ask(self, house: House, model: str, streamed: bool, caller: Caller) -> None:
        command = house.command(model=model, parameters=SHORT, streaming=streamed)
        if not streamed:
            await house.sender.complete(command, caller, house.context())
            return
        stream = await house.sender.stream(command, caller, house.context())
        async for _ in stream.batches():
            pass

    async def _expected(self, asking) -> None:
        with suppress(Send2LLMError, StoreUnavailable, CallerLeft):
            await asking
        await self._rest()

    async def _rest(self) -> None:
        """What was begun goes on until it waits for something."""
        for _ in range(30):
            await asyncio.sleep(0)


def _losing(save: Callable[..., Awaitable[None]], losses: list[bool | None]) -> Callable[..., Awaitable[None]]:
    left = deque(losses)

    async def lossy(*changed: object, **context: object) -> None:
        stored = left.popleft() if left else None
        if stored is not False:
            await save(*changed, **context)
        if stored is not None:
            raise StoreUnavailable("The connection broke; the test said so.")

    return lossy


async def _never(*_: object, **__: object) -> None:
    await asyncio.Event().wait()
