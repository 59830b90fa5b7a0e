"""What the end of a call says of its last attempt."""

from decimal import Decimal
from typing import NamedTuple

from send2llm.application.charges import REPORTED_PRICE
from send2llm.domain.conversation_events import CompletionFailed, CompletionInterrupted, CompletionReceived
from send2llm.domain.pico_dollars import pico_dollars

Ending = CompletionReceived | CompletionInterrupted | CompletionFailed


class Outcome(NamedTuple):
    """Of which attempt (0: of none), what it cost, and whether its process said so itself; in pico-dollars.

    ``by_price``: a price list was asked; models without a price may be allowed beside every budget. ``again``: it may
    speak of an attempt that has failed, because a stream that broke is both.
    """

    attempt: int
    cost: int | None
    known: bool
    by_price: bool
    again: bool


def outcome_of(event: Ending) -> Outcome:
    """Read it from the event."""
    match event:
        case CompletionReceived():
            return Outcome(event.attempts, amount_of(event.cost_usd), True, _by_price(event.price_version), False)
        case CompletionInterrupted():
            known = event.reason != "process_gone"
            return Outcome(event.attempts, amount_of(event.cost_usd), known, _by_price(event.price_version), True)
        case CompletionFailed():
            return Outcome(0, None, True, False, False)


def _by_price(version: str | None) -> bool:
    return version not in (None, REPORTED_PRICE)


def amount_of(usd: Decimal | None) -> int | None:
    """Pico-dollars, where anything is known."""
    return None if usd is None else pico_dollars(usd)
