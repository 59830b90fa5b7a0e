"""What replays read beside calls: price lists and caps, in TOML."""

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from send2llm.application.ports import PriceBook
from send2llm.application.replay.budget_caps import Cap
from send2llm.domain.budget_period import KEYS, Recurrence, time_zone
from send2llm.domain.budget_scope import BudgetScope
from send2llm.domain.errors import ConfigurationError
from send2llm.domain.pico_dollars import pico_dollars
from send2llm.infrastructure.prices import OverridePriceBook

_SCOPE = ("provider", "model", "tenant", "actor")
_TERMS = ("limit_usd", "period", "time_zone")


def read_prices(path: Path, otherwise: PriceBook) -> OverridePriceBook:
    """The prices of ``[prices."provider/model"]`` in a file; models that are not in it cost what ``otherwise`` says."""
    document = _read(path)
    prices = document.get("prices")
    if document.keys() != {"prices"} or not isinstance(prices, dict) or not all(map(_is_table, prices.values())):
        raise ConfigurationError(
            f'{path} has to hold tables like [prices."openai/gpt-5-mini"] with input and output, as send2llm.toml does.'
        )
    return OverridePriceBook(prices, otherwise=otherwise)


def read_caps(path: Path) -> Sequence[Cap]:
    """The ``[[budgets]]`` in a file."""
    document = _read(path)
    budgets = document.get("budgets")
    if document.keys() != {"budgets"} or not isinstance(budgets, list) or not all(map(_is_table, budgets)):
        raise ConfigurationError(
            f"{path} has to hold tables like [[budgets]] with limit_usd and period, and the scope: "
            f"{', '.join(_SCOPE)}, or nothing for all calls."
        )
    return [_cap(f"{path}, budget {number}", table) for number, table in enumerate(budgets, 1)]


def _cap(place: str, table: Mapping[str, Any]) -> Cap:
    unknown = sorted(table.keys() - {*_SCOPE, *_TERMS})
    if unknown:
        raise ConfigurationError(f"{place} does not know {unknown[0]}; it knows {', '.join((*_SCOPE, *_TERMS))}.")
    period = table.get("period")
    if period not in KEYS:
        raise ConfigurationError(f"{place} needs a period: {', '.join(KEYS)}.")
    try:
        limit = Decimal(str(table.get("limit_usd")))
        pico_dollars(limit)
    except (InvalidOperation, ValueError):
        raise ConfigurationError(f'{place} needs limit_usd: US dollars, such as "25.50".') from None
    scope = BudgetScope(**{name: str(table[name]) for name in _SCOPE if name in table})
    scope.check()
    zone = str(table.get("time_zone", "UTC"))
    time_zone(zone)
    return Cap(scope, limit, Recurrence(period, zone))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; name another file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from None


def _is_table(value: object) -> bool:
    return isinstance(value, dict)
