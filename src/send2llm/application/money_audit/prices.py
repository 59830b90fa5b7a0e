"""Whether what a call cost is its usage at the price that its event names."""

from typing import Protocol

from send2llm.application.money_audit.findings import Findings, Place
from send2llm.domain.conversation_events import CompletionInterrupted, CompletionReceived
from send2llm.domain.money import Price
from send2llm.domain.pico_dollars import pico_dollars


class PriceVersions(Protocol):
    """Prices by their versions."""

    def of_version(self, version: str) -> Price | None:
        """The price of that version, the same whenever it is asked for; ``None`` when nobody knows it for certain."""
        ...


def check_price(
    findings: Findings, prices: PriceVersions, place: Place, event: CompletionReceived | CompletionInterrupted
) -> None:
    """Compare, as far as the price is known."""
    usage = event.reported_usage or event.estimated_usage
    if event.price_version is None or event.cost_usd is None or usage is None:
        return
    price = prices.of_version(event.price_version)
    if price is not None:
        expected = pico_dollars(price.cost(usage))
        findings.compare(place, "a cost at its price", expected, pico_dollars(event.cost_usd))
