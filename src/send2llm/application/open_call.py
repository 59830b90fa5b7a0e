"""One call between its intent and its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from send2llm.application.context import Context
from send2llm.application.patience import Patience
from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Parameters
from send2llm.domain.message import Message
from send2llm.domain.routing import Candidate, Decision


@dataclass(slots=True)
class OpenCall:
    """A call whose intent is stored and whose outcome is not.

    ``started`` and ``attempt_started`` are monotonic; ``upstream`` counts the seconds spent waiting for providers.
    """

    context: Context
    conversation_id: UUID
    completion_id: UUID
    requested_model: str
    decision: Decision
    messages: Sequence[Message]
    parameters: Parameters
    streaming: bool
    patience: Patience
    started: float
    candidate: Candidate = field(init=False)
    attempts: int = 0
    attempt_started: float = 0.0
    upstream: float = 0.0
    time_to_first_token: float | None = None

    def __post_init__(self) -> None:
        self.candidate = self.decision.candidates[0]

    def provider_call(self) -> ProviderCall:
        """What the present candidate is asked."""
        return ProviderCall(self.candidate.model, self.messages, self.parameters, self.context.correlation_id)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller gets, and what is said about it in headers.

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
    replayed: bool = False
