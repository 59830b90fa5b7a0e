"""A process that stores calls until it is killed, and tells each conversation that was acknowledged.

Arguments: the DSN, a file with the master key of the texts. It prints a conversation's id and how many of its events
are stored. Some of the conversations are erased, and now and then money is lent, held and taken back.
"""

import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

from send2llm.application.context import Metadata
from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    ConversationErased,
    ConversationEvent,
    ConversationStarted,
    FeedbackGiven,
)
from send2llm.domain.provider_budget_events import AllowanceGranted
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.event_store.streams import allowance_stream, budget_stream
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, received, requested, said

_MODELS = ("parrot", "macaw", "cockatoo")
_TENANTS = ("acme", "globex")


_BUDGET, _PERIOD = UUID(int=1), "2026-11"
_ERASED, _LENT = 0.2, 0.1
"""Of the conversations."""


def main() -> None:
    database, keys = ConnectionInfo.parse(sys.argv[1]), TextKeys.of_file(Path(sys.argv[2]))
    with EventWriter(database, keys) as writer:
        while True:
            conversation_id = uuid4()
            stored = 0
            for events in [[ConversationStarted()], *call(uuid4()), *call(uuid4()), *perhaps_erased()]:
                writer.write(conversation_id, *events, tenant=random.choice(_TENANTS))
                stored += len(events)
            print(conversation_id, stored, flush=True)
            if random.random() < _LENT:
                lend(writer, conversation_id)


def perhaps_erased() -> Sequence[Sequence[ConversationEvent]]:
    """What was said may be forgotten, and then nothing more happens."""
    return [[ConversationErased(reason="asked for")]] if random.random() < _ERASED else []


def lend(writer: EventWriter, conversation_id: UUID) -> None:
    """An allowance, with commits of its own: lent, held from, and closed in a stream that does not name its budget."""
    allowance_id, now = uuid4(), datetime.now(UTC)
    of_period = budget_stream(_BUDGET, f"{_PERIOD}-{allowance_id}")  # a stream that no other process writes to
    granted = AllowanceGranted(allowance_id=allowance_id, holder="chaos", amount_usd=Decimal(1), expires_at=now)
    held = HoldTaken(
        budget_id=_BUDGET,
        period_key=_PERIOD,
        conversation_id=conversation_id,
        completion_id=uuid4(),
        attempt=1,
        amount_usd=Decimal(1),
    )
    closed = AllowanceClosed(reason="settled")
    of_allowance = allowance_stream(allowance_id)
    for stream, version, event in ((of_period, 1, granted), (of_allowance, 1, held), (of_allowance, 2, closed)):
        metadata = Metadata(uuid4(), now, uuid4(), None, "chaos", "default")
        writer.store([writer.codec.encode(stream, version, event, metadata)])


def call(completion_id: UUID) -> Sequence[Sequence[ConversationEvent]]:
    """The commits of a call: it may be answered, at once or later, fail, be interrupted, or be left open."""
    where = {"provider": "echo", "model": random.choice(_MODELS)}
    cost = Decimal(random.randrange(10**9)) / 10**12
    asked = [said(f"word {random.randrange(50)}"), requested(completion_id, **where)]
    failed = AttemptFailed(
        completion_id=completion_id,
        attempt=1,
        **where,
        error="provider_overloaded",
        detail="",
        retryable=True,
        status=503,
        duration=random.random(),
        next_attempt=Attempt(2, "echo", random.choice(_MODELS)),
    )
    gone = CompletionInterrupted(completion_id=completion_id, reason="process_gone", attempts=1, cost_usd=cost)
    answered = received(completion_id, cost_usd=cost, **where)
    given_up = CompletionFailed(
        completion_id=completion_id, error="provider_overloaded", detail="", attempts=2, duration=1.0
    )
    judged = FeedbackGiven(completion_id=completion_id, score=Decimal(1))
    return random.choice(
        [
            [asked, [answered]],
            [asked, [answered, judged]],
            [[*asked, answered]],
            [asked, [failed], [answered]],
            [asked, [failed], [given_up]],
            [asked, [gone]],
            [asked, [gone], [answered]],
            [asked],
        ]
    )


if __name__ == "__main__":
    main()
