"""What each attempt of a conversation's calls cost, by its events: the conversations' side of the double entry."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    ConversationEvent,
)
from send2llm.domain.money import ZERO


@dataclass(frozen=True, slots=True)
class AttemptCost:
    """US dollars; ``None`` when the model has no known price. ``known``: its process told how the attempt ended."""

    cost_usd: Decimal | None
    known: bool = True


def attempt_costs(events: Iterable[ConversationEvent]) -> dict[str, AttemptCost]:
    """By hold id (``completion/attempt``); attempts whose end is not recorded are missing.

    An attempt that was written off because its process seemed to be gone is not ``known``, unless its answer was
    recorded after all: then that counts.
    """
    costs: dict[str, AttemptCost] = {}
    for event in events:
        match event:
            case AttemptFailed(completion_id=completion_id, attempt=attempt, cost_usd=cost):
                costs[f"{completion_id}/{attempt}"] = AttemptCost(ZERO if cost is None else cost)
            case CompletionReceived(completion_id=completion_id, attempts=attempt, cost_usd=cost):
                costs[f"{completion_id}/{attempt}"] = AttemptCost(cost)
            case CompletionInterrupted(completion_id=completion_id, attempts=attempt, cost_usd=cost):
                known = event.reason != "process_gone"
                costs[f"{completion_id}/{attempt}"] = AttemptCost(cost, known)
            case CompletionFailed(completion_id=completion_id, attempts=attempts):
                # The money for another attempt was set aside already, but nobody was asked any more.
                costs.setdefault(f"{completion_id}/{attempts + 1}", AttemptCost(ZERO))
            case _:
                pass
    return costs
