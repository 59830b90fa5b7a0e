"""A process that stores calls until it is killed, and tells each conversation that was acknowledged.

Argument: the DSN. It prints a conversation's id and how many of its events are stored.
"""

import random
import sys
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID, uuid4

from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    ConversationEvent,
    ConversationStarted,
    FeedbackGiven,
)
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, received, requested, said

_MODELS = ("parrot", "macaw", "cockatoo")
_TENANTS = ("acme", "globex")


def main() -> None:
    with EventWriter(ConnectionInfo.parse(sys.argv[1])) as writer:
        while True:
            conversation_id = uuid4()
            stored = 0
            for events in [[ConversationStarted()], *call(uuid4()), *call(uuid4())]:
                writer.write(conversation_id, *events, tenant=random.choice(_TENANTS))
                stored += len(events)
            print(conversation_id, stored, flush=True)


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
