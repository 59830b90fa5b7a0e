"""Who would have answered, as ``send2llm replay route --to`` names it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from send2llm.interfaces.cli.errors import CommandFailed

if TYPE_CHECKING:
    from send2llm.application.ports import PriceBook
    from send2llm.application.replay.rerouting import Target
    from send2llm.settings import Settings


def targets_of(
    names: Sequence[str], settings: "Settings", prices: "PriceBook"
) -> "tuple[Sequence[Target], Sequence[str]]":
    """Those with a price, and what has to be said of the others; ``CommandFailed`` when there is none."""
    from send2llm.application.replay.rerouting import Target
    from send2llm.bootstrap.prices import catalogue_of_history
    from send2llm.infrastructure.system import SystemClock

    windows = catalogue_of_history(settings, SystemClock())
    found: list[Target] = []
    unpriced: list[str] = []
    for provider, model in dict.fromkeys(_named(names, settings)):
        name = f"{provider}/{model}"
        price = prices.price(provider, model)
        if price is None:
            unpriced.append(name)
        else:
            found.append(Target(name, price, windows.context_window(provider, model)))
    without = ", ".join(unpriced)
    if not found:
        raise CommandFailed(
            f"--to: no price of {without} is known; name provider/model or a route, or give its price in --prices."
        )
    return found, [f"Left out, because no price is known: {without}."] if unpriced else []


def _named(names: Sequence[str], settings: "Settings") -> Iterator[tuple[str, str]]:
    """Providers and models; a configured route stands for its candidates, in their order."""
    from send2llm.bootstrap.models import model_names

    for name in names:
        if name in settings.routes:
            for candidate in model_names(settings).decide(name).candidates:
                yield candidate.provider, candidate.model
        else:
            provider, _, model = name.partition("/")
            yield provider, model
