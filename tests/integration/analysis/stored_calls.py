"""Calls of all kinds, over two days."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import NullPool, create_engine

from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    ConversationEvent,
    ConversationStarted,
)
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.log_seals.sealer import LogSealer
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, received, requested, said

KEYS = TextKeys([bytes(32)])

EVENING = datetime(2026, 11, 26, 23, 59, tzinfo=UTC)


class Asking:
    """Stores calls, each in a conversation of its own."""

    def __init__(self, writer: EventWriter) -> None:
        self._writer = writer
        self._conversations: dict[UUID, UUID] = {}

    def __call__(
        self, question: str, end: str = "received", *, at: datetime = EVENING, tenant: str = "default", **answer: Any
    ) -> UUID:
        """A call that ends as ``end`` says, ``""`` not at all; gives its id. ``answer``: as what was received says."""
        completion = uuid4()
        conversation = self._conversations[completion] = uuid4()
        begun = [ConversationStarted(), said(question), requested(completion)]
        if end == "retried":
            begun.append(_failed_over(completion))
        self._writer.write(conversation, *begun, at=at, tenant=tenant)
        if end:
            ending = received(completion, **answer) if end == "charged" else _ending(end, completion)
            self._writer.write(conversation, ending, at=at + timedelta(minutes=2), tenant=tenant)
        return completion

    def answer(self, completion: UUID) -> None:
        """The answer comes after all."""
        self._writer.write(self._conversations[completion], received(completion), at=EVENING + timedelta(hours=1))


def _failed_over(completion: UUID) -> AttemptFailed:
    return AttemptFailed(
        completion_id=completion,
        attempt=1,
        provider="echo",
        model="parrot",
        error="provider_timeout",
        detail="",
        retryable=True,
        status=None,
        duration=0.1,
        cost_usd=Decimal("0.000001"),
        assumed="echo may have charged all that was held for it",
        next_attempt=Attempt(2, "other", "raven"),
    )


def _ending(end: str, completion: UUID) -> ConversationEvent:
    match end:
        case "received":
            return received(completion)
        case "retried":
            return received(completion, provider="other", model="raven")
        case "failed":
            return CompletionFailed(
                completion_id=completion, error="provider_error", detail="", attempts=1, duration=0.2
            )
    return CompletionInterrupted(
        completion_id=completion, reason="process_gone", cost_usd=Decimal("0.5"), assumed="its hold"
    )


def seal_all(database: ConnectionInfo, key: SealingKey) -> None:
    """Seal the log as it is."""
    engine = create_engine(database.sqlalchemy_url, poolclass=NullPool)
    with engine.connect() as connection:
        while LogSealer(database, key).seal_next(connection):
            pass
