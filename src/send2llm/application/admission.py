"""Who may be asked: the first candidate, in their order, for whom every budget has the money."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from send2llm.application.budgets.call_bounds import Transcript
from send2llm.application.budgets.holds import Asking, Holds
from send2llm.application.budgets.purse import CallHold
from send2llm.application.context import Context
from send2llm.application.open_call import Following, OpenCall
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import BudgetExceeded, CannotBound, Send2LLMError
from send2llm.domain.routing import Candidate, PassedOver


@dataclass(frozen=True, slots=True)
class Admitted:
    """The candidate to ask, what is held for it, and those that were passed over."""

    candidate: Candidate
    hold: CallHold | None
    passed_over: tuple[PassedOver, ...]


class Refused(Exception):
    """Nobody may be asked; ``error`` says why not the first of them."""

    def __init__(self, error: Send2LLMError, passed_over: tuple[PassedOver, ...]) -> None:
        super().__init__(str(error))
        self.error = error
        self.passed_over = passed_over


class Admission:
    """Takes holds for candidates until one of them is covered."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds

    async def first(
        self,
        candidates: Iterable[Candidate],
        completion_id: UUID,
        transcript: Transcript,
        parameters: Parameters,
        context: Context,
    ) -> Admitted:
        """For the first attempt of a call; raises ``Refused``, ``StoreUnavailable``."""
        passed_over: list[PassedOver] = []
        errors: list[Send2LLMError] = []
        for candidate in candidates:
            asking = Asking(completion_id, 1, candidate.provider, candidate.model, transcript, parameters, context)
            try:
                return Admitted(candidate, await self._holds.take(asking), tuple(passed_over))
            except (BudgetExceeded, CannotBound) as error:
                errors.append(error)
                passed_over.append(PassedOver(candidate.provider, candidate.model, error.code, str(error)))
        raise Refused(errors[0], tuple(passed_over))

    async def following(self, call: OpenCall, *, again: bool, for_nothing: bool) -> Following | None:
        """For the attempt after a failed one; ``None`` when nobody is left whom a budget allows to ask.

        ``again``: the same candidate goes first. ``for_nothing``: the failed attempt cost nothing, so that its money
        can be used for that. Raises ``StoreUnavailable``.
        """
        if again and for_nothing:
            return Following(call.candidate, call.hold and call.hold.following(), same_money=True)
        for candidate in [call.candidate, *call.candidates_left()] if again else call.candidates_left():
            asking = Asking(
                call.completion_id,
                call.attempts + 1,
                candidate.provider,
                candidate.model,
                Transcript(call.conversation_id, call.messages, call.stored_messages),
                call.parameters,
                call.context,
            )
            try:
                return Following(candidate, await self._holds.take(asking))
            except (BudgetExceeded, CannotBound):
                continue
        return None

    def lose(self, allowance_id: UUID) -> None:
        """The store says that the money of an allowance was taken away from this process."""
        self._holds.lose(allowance_id)
