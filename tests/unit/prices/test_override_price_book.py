"""Prices of the configuration come first."""

from decimal import Decimal
from typing import Any

import pytest

from send2llm.domain.completion import Usage
from send2llm.domain.errors import ConfigurationError
from send2llm.domain.money import ZERO, Price, Rate
from send2llm.infrastructure.prices import OverridePriceBook


class Catalogue:
    PRICE = Price("catalogue", Rate(Decimal(1)), Rate(Decimal(2)))

    def price(self, provider: str, model: str) -> Price | None:
        return None if model == "unknown" else self.PRICE


def book(table: dict[str, Any] | None = None, *, free: tuple[str, ...] = ()) -> OverridePriceBook:
    return OverridePriceBook({"acme/some/model": table} if table else {}, otherwise=Catalogue(), free=free)


def test_a_price_of_the_configuration_wins_and_is_exact() -> None:
    table = {"input": 0.1, "output": "0.2", "cache_read": Decimal("0.01"), "cache_write": 1, "cache_write_1h": 2}
    price = book(table).price("acme", "some/model")

    assert price is not None
    assert price.input == Rate(Decimal("0.1"))
    assert (price.output, price.cache_read, price.cache_write) == (
        Rate(Decimal("0.2")),
        Rate(Decimal("0.01")),
        Rate(Decimal(1)),
    )
    assert price.cost(Usage(1_000_000, 0)) == Decimal("0.1")
    assert price.cost(Usage(1_000_000, 0, 0, 1_000_000, cache_write_1h_input_tokens=500_000)) == Decimal("1.5")


def test_others_cost_what_the_catalogue_says() -> None:
    prices = book({"input": 1, "output": 1})

    assert prices.price("acme", "other") is Catalogue.PRICE
    assert prices.price("acme", "unknown") is None


def test_free_providers_cost_nothing_unless_a_price_is_set() -> None:
    prices = book({"input": 1, "output": 1, "per_request": "0.5"}, free=("acme",))

    free, set_ = prices.price("acme", "unknown"), prices.price("acme", "some/model")
    assert free is not None
    assert set_ is not None
    assert (free.version, free.cost(Usage(9, 9))) == ("free", ZERO)
    assert set_.cost(Usage()) == Decimal("0.5")


def test_the_version_says_which_numbers_it_was() -> None:
    def version(**table: Any) -> str:
        price = book(table).price("acme", "some/model")
        assert price is not None
        return price.version

    assert version(input=1, output=2).startswith("override ")
    assert version(input=1, output=2) == version(input="1.0", output=Decimal("2.00"), cache_read=None)
    assert version(input=1, output=2) != version(input=1, output=3)
    assert version(input=1, output=2) != version(input=1, output=2, cache_read=1)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"input": 1}, "needs output"),
        ({"input": 1, "output": 1, "inptu": 1}, "does not know inptu"),
        ({"input": -1, "output": 1}, "input must be a number of US dollars"),
        ({"input": "cheap", "output": 1}, "input must be a number of US dollars"),
        ({"input": float("inf"), "output": 1}, "input must be a number of US dollars"),
    ],
)
def test_a_wrong_table_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        book(table)


def test_a_price_is_found_by_its_version_and_a_catalogue_has_none_for_certain() -> None:
    prices = book({"input": "0.1", "output": "0.4"}, free=("local",))
    own = prices.price("acme", "some/model")
    assert own is not None
    assert prices.of_version(own.version) == own
    assert prices.of_version("free") == prices.price("local", "any")
    assert prices.of_version("catalogue") is None
