"""What the use cases need from outside."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable
from uuid import UUID

from send2llm.application.context import Context
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.completion import Completion, Delta, Parameters, Usage
from send2llm.domain.conversation import Conversation
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import Message
from send2llm.domain.money import Price


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Identifiers(Protocol):
    """New names for new things."""

    def new(self) -> UUID:
        """A fresh UUID that sorts by time (version 7)."""
        ...


class Randomness(Protocol):
    """Chance."""

    def random(self) -> float:
        """A number from 0 up to, but without, 1."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What an idempotency key stands for, and the ``version`` of its stream (0: never used)."""

    key: str
    version: int
    event: IdempotencyKeyClaimed | None


@dataclass(frozen=True, slots=True)
class AllowanceHold:
    """Money of an allowance that is to be held together with what is saved."""

    allowance_id: UUID
    event: HoldTaken


class Conversations(Protocol):
    """The conversations in the event store."""

    async def load(self, conversation_id: UUID, *, fresh: bool = False, texts: bool = True) -> Conversation:
        """A conversation of the caller's own, free to change.

        Without ``fresh`` it may lag behind what other processes stored; ``save`` will tell. Without ``texts``, for who
        adds what does not depend on them, what was said is not decrypted: that goes when nobody can.
        Raises ``ConversationNotFound``, ``StoreUnavailable``, ``UnreadableEvent``.
        """
        ...

    async def tenant_of(self, conversation_id: UUID) -> str | None:
        """Whose conversation it is, ``None`` when there is none of that id; raises ``StoreUnavailable``."""
        ...

    async def find(self, digests: Sequence[bytes], tenant: str) -> UUID | None:
        """The conversation of ``tenant`` whose whole transcript has one of the ``digests``: the last such one."""
        ...

    async def save(
        self,
        conversation: Conversation,
        context: Context,
        *,
        claim: tuple[Claim, IdempotencyKeyClaimed] | None = None,
        holds: Sequence[AllowanceHold] = (),
    ) -> int:
        """Store its new events, the claim of an idempotency key, and holds, all or nothing; return the last position.

        Raises ``StaleConversation`` when somebody else was first (with either), ``AllowanceIsClosed`` when the money
        was taken away from this process, ``StoreUnavailable``, and ``UnreadableEvent`` when what is said could not be
        read again. A hold goes behind whatever its allowance has.
        Once begun it is finished even if the waiting task is cancelled.
        """
        ...

    async def claim(self, key: str, tenant: str) -> Claim:
        """What an idempotency key stands for by now."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """One call to a provider: its own name of the model, the whole transcript, and how to answer."""

    model: str
    messages: Sequence[Message]
    parameters: Parameters
    correlation_id: UUID


class Provider(Protocol):
    """A service that runs models. Every method raises only ``ProviderError`` (and is cancelled at will)."""

    @property
    def name(self) -> str:
        """The name that it has in the configuration."""
        ...

    async def complete(self, call: ProviderCall) -> Completion:
        """Ask, and wait for the whole reply."""
        ...

    def stream(self, call: ProviderCall) -> AsyncIterator[Sequence[Delta]]:
        """Ask, and yield what comes as it comes: one batch for each piece that the network brings.

        Ends normally only after the provider's own end mark. Closing the iterator (``aclose``) drops the connection.
        """
        ...

    async def models(self) -> Sequence[str]:
        """The models that it offers now."""
        ...


@runtime_checkable
class EmbeddingProvider(Provider, Protocol):
    """A provider that has embeddings as well."""

    async def embed(self, call: ProviderCall) -> Completion:
        """One answer whose message has an ``EmbeddingPart`` for each text of the call's messages, in their order."""
        ...


@runtime_checkable
class TokenCountingProvider(Provider, Protocol):
    """A provider that tells how many tokens a request has, without answering it."""

    async def count_tokens(self, call: ProviderCall) -> int | None:
        """The number by its own count; ``None`` if it does not tell after all."""
        ...


class Providers(Protocol):
    """The configured providers."""

    def get(self, name: str) -> Provider:
        """The provider; raises ``KeyError`` for a name that is not configured."""
        ...


class PriceBook(Protocol):
    """What models cost."""

    def price(self, provider: str, model: str) -> Price | None:
        """The price in force now, ``None`` when it is unknown. Fast: called on the path of every call."""
        ...


@dataclass(frozen=True, slots=True)
class CallReport:
    """One call, looked at from its end: what logs and metrics want to know. No text of anybody's is in it.

    ``outcome`` is ``received``, ``failed``, ``interrupted`` or ``replayed``; ``error`` the code from the error tree.
    Seconds: ``duration`` in all, ``upstream`` spent waiting for providers, ``time_to_first_token`` of a stream.
    """

    conversation_id: UUID
    completion_id: UUID
    correlation_id: UUID
    tenant: str
    requested_model: str
    provider: str
    model: str
    streaming: bool
    outcome: str
    duration: float
    upstream: float
    attempts: int
    error: str | None = None
    usage: Usage | None = None
    usage_estimated: bool = False
    cost_usd: Decimal | None = None
    time_to_first_token: float | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """One failed attempt at one provider."""

    correlation_id: UUID
    provider: str
    model: str
    attempt: int
    error: str
    retryable: bool
    status: int | None
    duration: float
    retry_in: float | None


class Observer(Protocol):
    """Whoever watches the calls: logs, metrics."""

    def attempt_failed(self, report: AttemptReport) -> None:
        """An attempt failed; ``retry_in`` seconds the same provider is asked again, ``None``: it is not."""
        ...

    def call_ended(self, report: CallReport) -> None:
        """A call has its outcome in the store."""
        ...
