"""Which rows of calls a batch of events will change, for projections that hold a row for each call."""

from collections.abc import Iterable
from uuid import UUID

from send2llm.events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRequested,
)
from send2llm.projections import RecordedEvent


def calls_before(events: Iterable[RecordedEvent]) -> set[UUID]:
    """The calls that ``events`` go on with and that were requested before them; judging a call changes no row."""
    requested, changed = set[UUID](), set[UUID]()
    for recorded in events:
        match recorded.event:
            case CompletionRequested(completion_id=completion_id):
                requested.add(completion_id)
            case (
                AttemptFailed(completion_id=completion_id)
                | CompletionReceived(completion_id=completion_id)
                | CompletionFailed(completion_id=completion_id)
                | CompletionInterrupted(completion_id=completion_id)
            ):
                changed.add(completion_id)
    return changed - requested
