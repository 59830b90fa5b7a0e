"""Hands events to a fold, and tells what the fold did from what happened to it."""

from collections.abc import Sequence

from sqlalchemy import Connection

from send2llm.application.context import RecordedEvent
from send2llm.application.projections import Projection
from send2llm.infrastructure.projections.failures import FoldRaised, passes_within_a_fold
from send2llm.infrastructure.projections.fold_transaction import kept_whole


def fold_events(projection: Projection, events: Sequence[RecordedEvent], connection: Connection) -> None:
    """Fold ``events`` within the transaction on ``connection``, which it leaves open.

    Raises ``FoldRaised`` from what a fold raises that will do the same another time. What passes by itself (a lost
    session, a deadlock) is raised as it is.
    """
    try:
        with kept_whole(connection):
            projection.fold(events, connection)
    except BaseException as error:  # a fold is anybody's code: SystemExit in it means this projection
        if isinstance(error, Exception) and passes_within_a_fold(error, connection):
            raise
        raise FoldRaised from error
