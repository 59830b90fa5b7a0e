"""Calls that were begun and never ended, because their process died in the middle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from send2llm.application.context import Context
from send2llm.application.ports import Clock, Conversations, Identifiers
from send2llm.application.queries import HistoryQueries, OpenCompletion
from send2llm.domain.conversation_events import CompletionInterrupted
from send2llm.domain.errors import CompletionAlreadyEnded, NotFound, StaleConversation
from send2llm.domain.routing import Attempt

ACTOR = "send2llm"
ASSUMED = "The process that made the call is gone; whether the provider answered, and charged for it, is not known."


class Processes(Protocol):
    """The running processes that make calls."""

    async def is_alive(self, process: str) -> bool:
        """Whether the process of that name runs; raises ``StoreUnavailable`` when nobody can tell."""
        ...


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found: calls ``interrupted`` now, and those that ``others`` ended meanwhile."""

    interrupted: Sequence[OpenCompletion]
    others: Sequence[OpenCompletion]


class RecoverUnfinishedCalls:
    """Records the calls of dead processes as interrupted.

    Any number of processes may do so at once: the conversation lets one of them be first. A process that only
    lost its connection to the database looks dead for a moment, so each is looked at twice, ``patience``
    seconds apart; and should it answer after all, the conversation still takes the answer.
    """

    def __init__(
        self,
        history: HistoryQueries,
        processes: Processes,
        conversations: Conversations,
        identifiers: Identifiers,
        clock: Clock,
        *,
        patience: float = 5.0,
    ) -> None:
        self._history = history
        self._processes = processes
        self._conversations = conversations
        self._identifiers = identifiers
        self._clock = clock
        self._patience = patience

    async def __call__(self) -> Recovery:
        """Look once; raises ``StoreUnavailable``. The history lags a little: look again from time to time."""
        suspects = await self._abandoned(await self._history.open_completions())
        if suspects:
            await self._clock.sleep(self._patience)
            suspects = await self._abandoned(suspects)
        interrupted: list[OpenCompletion] = []
        others: list[OpenCompletion] = []
        for call in suspects:
            (interrupted if await self._interrupt(call) else others).append(call)
        return Recovery(interrupted, others)

    async def _abandoned(self, calls: Sequence[OpenCompletion]) -> Sequence[OpenCompletion]:
        alive = {process: await self._processes.is_alive(process) for process in {call.process for call in calls}}
        return [call for call in calls if not alive[call.process]]

    async def _interrupt(self, call: OpenCompletion) -> bool:
        """Record the interruption; False when the call has ended otherwise."""
        try:
            conversation = await self._conversations.load(call.conversation_id, fresh=True, texts=False)
            conversation.interrupt_completion(_interrupted(call.completion_id, conversation.attempt))
            context = Context(
                correlation_id=self._identifiers.new(),
                causation_id=call.completion_id,
                actor=ACTOR,
                tenant=call.tenant,
            )
            await self._conversations.save(conversation, context)
        except (CompletionAlreadyEnded, NotFound, StaleConversation):
            # Stale: whoever was first has ended it, or the next look will find it again.
            return False
        return True


def _interrupted(completion_id: UUID, attempt: Attempt | None) -> CompletionInterrupted:
    """What is unknown counts with all that budgets have set aside for it."""
    return CompletionInterrupted(
        completion_id=completion_id,
        reason="process_gone",
        assumed=ASSUMED,
        cost_usd=attempt.hold_usd if attempt else None,
        attempts=attempt.number if attempt else 0,
        provider=attempt.provider if attempt else "",
        model=attempt.model if attempt else "",
    )
