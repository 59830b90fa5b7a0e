"""One call between its intent and its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from send2llm.application.budgets.purse import CallHold
from send2llm.application.context import Context
from send2llm.application.patience import Patience
from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Parameters
from send2llm.domain.conversation_events import AttemptFailed
from send2llm.domain.message import Message
from send2llm.domain.money import ZERO
from send2llm.domain.pico_dollars import pico_dollars
from send2llm.domain.routing import Candidate, Decision


@dataclass(slots=True)
class OpenCall:
    """A call whose intent is stored and whose outcome is not.

    ``candidate`` is asked now, or next; ``hold`` is what budgets have set aside for that, and ``asking`` tells whether
    the provider may have got the request. ``attempts`` counts those that were begun, ``tries`` those at the present
    candidate. ``messages`` are what is sent; the first ``stored_messages`` of them were said before this call.
    ``started`` and ``attempt_started`` are monotonic; ``upstream`` counts the seconds spent waiting for providers,
    ``lost_usd`` what failed attempts cost. ``doubt``: the last attempt has failed, and nobody knows whether that is
    stored.
    """

    context: Context
    conversation_id: UUID
    completion_id: UUID
    requested_model: str
    decision: Decision
    candidate: Candidate
    hold: CallHold | None
    messages: Sequence[Message]
    stored_messages: int
    parameters: Parameters
    streaming: bool
    patience: Patience
    started: float
    attempts: int = 0
    tries: int = 0
    asking: bool = False
    attempt_started: float = 0.0
    upstream: float = 0.0
    lost_usd: Decimal = ZERO
    doubt: "DoubtfulFailure | None" = None
    time_to_first_token: float | None = None

    def begin_attempt(self, now: float) -> None:
        """The candidate is asked, now (monotonic)."""
        self.attempts += 1
        self.tries += 1
        self.attempt_started = now
        self.asking = True

    def go_on_with(self, following: "Following") -> None:
        """The attempt has failed, which is stored; another one follows."""
        if following.candidate is not self.candidate:
            self.tries = 0
        self.candidate, self.hold = following.candidate, following.hold
        self.asking = False

    def doubt_failure(self, failure: AttemptFailed, following: "Following | None") -> None:
        """The answer to the append of ``failure`` got lost, with which the hold of what follows may be stored, too.

        So that money stays held until the end of the call is stored, which tells what was. Nobody is asked any more.
        """
        same_money = following is not None and following.same_money
        self.doubt = DoubtfulFailure(replace(failure, next_attempt=None), None if same_money else self.hold)
        self.lost_usd += failure.cost_usd or ZERO
        held, self.hold = self.hold, None
        self.asking = False
        if following is not None:
            self.go_on_with(following)
            if same_money and held is not None and following.hold is not None:
                held.passed_on(following.hold)

    def let_go(self, attempt: int, cost: Decimal | None) -> None:
        """The end of the call is stored: that ``attempt`` cost so much. What is held for it is free, less that."""
        costs = {attempt: pico_dollars(cost or ZERO)}
        if self.doubt is not None:
            failed = self.doubt.failure
            costs.setdefault(failed.attempt, pico_dollars(failed.cost_usd or ZERO))
            if self.doubt.hold is not None:
                self.doubt.hold.end(costs.pop(failed.attempt))
        if self.hold is not None:
            self.hold.end(sum(costs.values()))

    def candidates_left(self) -> Sequence[Candidate]:
        """The candidates that come after the present one."""
        candidates = self.decision.candidates
        return candidates[candidates.index(self.candidate) + 1 :]

    def provider_call(self) -> ProviderCall:
        """What the present candidate is asked."""
        parameters, hold = self.parameters, self.hold
        if hold is not None and parameters.embedding is None and hold.output_limit != parameters.max_output_tokens:
            parameters = replace(parameters, max_output_tokens=hold.output_limit)
        return ProviderCall(self.candidate.model, self.messages, parameters, self.context.correlation_id)


@dataclass(frozen=True, slots=True)
class DoubtfulFailure:
    """An attempt's ``failure``, without what was to follow, and its ``hold``.

    There is none when no budget covers it, or when the attempt that was to follow holds the same money.
    """

    failure: AttemptFailed
    hold: CallHold | None


@dataclass(frozen=True, slots=True)
class Following:
    """The attempt after a failed one: whom to ask, with which money.

    ``same_money``: the hold of the failed attempt, which cost nothing, is passed on.
    """

    candidate: Candidate
    hold: CallHold | None
    same_money: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller gets, and what is said about it in headers.

    ``cost_usd`` is that of all attempts, ``budget_left_usd`` the least that any budget of the call has left.
    ``upstream`` are the seconds that providers took; ``replayed`` means that the answer was recorded earlier, for
    the same idempotency key, and no provider was asked.
    """

    conversation_id: UUID
    completion_id: UUID
    provider: str
    model: str
    completion: Completion
    cost_usd: Decimal | None
    attempts: int
    upstream: float
    budget_left_usd: Decimal | None = None
    replayed: bool = False
