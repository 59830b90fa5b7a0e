"""Prices that the configuration sets."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from hashlib import blake2b

from send2llm.application.ports import PriceBook
from send2llm.domain.errors import ConfigurationError
from send2llm.domain.money import ZERO, Price, Rate

Amount = Decimal | str | int | float

FREE = Price(version="free", input=Rate(ZERO), output=Rate(ZERO))
"""The price of what runs on one's own machine."""

_FIELDS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "per_request")


class OverridePriceBook:
    """A ``PriceBook`` that asks the configuration first, and ``otherwise`` another.

    ``prices`` has US dollars for a million tokens by ``provider/model``: ``input``, ``output`` and, if they differ
    from the input, ``cache_read``, ``cache_write`` and ``cache_write_1h``; ``per_request`` is added to each call.
    The version of such a price is made of its numbers, so that events which name the same version were charged by the
    same price.
    Providers in ``free`` cost nothing, whatever the model.
    """

    def __init__(
        self,
        prices: Mapping[str, Mapping[str, Amount | None]],
        *,
        otherwise: PriceBook,
        free: Collection[str] = (),
    ) -> None:
        self._prices = {name: _price(name, table) for name, table in prices.items()}
        self._versions = {price.version: price for price in (FREE, *self._prices.values())}
        self._free = frozenset(free)
        self._otherwise = otherwise

    @property
    def names(self) -> Collection[str]:
        """The models whose prices the configuration sets."""
        return self._prices.keys()

    def price(self, provider: str, model: str) -> Price | None:
        """The price in force now, ``None`` when it is unknown."""
        if self._prices:
            own = self._prices.get(f"{provider}/{model}")
            if own is not None:
                return own
        if provider in self._free:
            return FREE
        return self._otherwise.price(provider, model)

    @property
    def versions(self) -> Collection[str]:
        """Those of the configuration's own prices."""
        return frozenset(price.version for price in self._prices.values()) | ({FREE.version} if self._free else set())

    def of_version(self, version: str) -> Price | None:
        """The price of that version, if it is one of the configuration's: a catalogue's version is of many prices."""
        return self._versions.get(version)


def _price(name: str, table: Mapping[str, Amount | None]) -> Price:
    provider, _, model = name.partition("/")
    if not provider or not model:
        raise ConfigurationError(f"[prices.{name!r}] is the price of no model: name it provider/model.")
    unknown = sorted(table.keys() - set(_FIELDS))
    if unknown:
        raise ConfigurationError(f"[prices.{name!r}] does not know {unknown[0]}; it knows {', '.join(_FIELDS)}.")
    amounts = {field: _decimal(name, field, table[field]) for field in _FIELDS if table.get(field) is not None}
    for field in ("input", "output"):
        if field not in amounts:
            raise ConfigurationError(f"[prices.{name!r}] needs {field}: US dollars for a million tokens.")
    numbers = " ".join(f"{field}={amount.normalize():f}" for field, amount in amounts.items())
    rates = {field: Rate(amount) for field, amount in amounts.items()}
    return Price(
        version=f"override {blake2b(numbers.encode(), digest_size=4).hexdigest()}",
        input=rates["input"],
        output=rates["output"],
        cache_read=rates.get("cache_read"),
        cache_write=rates.get("cache_write"),
        per_request=amounts.get("per_request", ZERO),
        cache_write_1h=rates.get("cache_write_1h"),
    )


def _decimal(name: str, field: str, amount: Amount | None) -> Decimal:
    """The amount as it was written: a float of TOML means its shortest spelling, not its binary value."""
    try:
        exact = Decimal(str(amount))
    except ArithmeticError:
        exact = Decimal("NaN")
    if not exact.is_finite() or exact < 0:
        raise ConfigurationError(f"[prices.{name!r}] {field} must be a number of US dollars, not {amount!r}.")
    return exact
