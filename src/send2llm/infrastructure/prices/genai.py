"""Prices from the catalogue of the ``genai-prices`` package, which comes with its data: nothing is downloaded."""

from collections.abc import Mapping
from decimal import Decimal
from importlib.metadata import version

from genai_prices import types
from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

from send2llm.application.ports import Clock
from send2llm.domain.money import ZERO, Price, Rate, Tier
from send2llm.infrastructure.prices.model_names import is_certain

VERSION = f"genai-prices {version('genai-prices')}"

MOST_REMEMBERED = 10_000
"""Models whose price is remembered; callers choose the names, so there has to be an end to them."""

FREE_SUFFIX = ":free"
"""OpenRouter's name for models that cost nothing; other models without numbers have no known price."""


class GenaiPriceBook:
    """A ``PriceBook`` on the catalogue. Each model is looked up once.

    ``base_urls`` are the configured providers by name. Which provider of the catalogue one of them is, is told by
    ``catalogue_ids``, else by its address, else by its name if that is just the catalogue's. Prices that change
    with the date or the time of day follow the ``clock``.
    """

    def __init__(
        self, base_urls: Mapping[str, str], clock: Clock, *, catalogue_ids: Mapping[str, str] | None = None
    ) -> None:
        self._clock = clock
        ids = catalogue_ids or {}
        self._providers = {name: _provider(name, base_url, ids.get(name)) for name, base_url in base_urls.items()}
        self._models: dict[tuple[str, str], types.ModelInfo | None] = {}
        self._prices: dict[int, Price | None] = {}

    def price(self, provider: str, model: str) -> Price | None:
        """The price in force now, ``None`` when the catalogue does not know this very model."""
        known = self._known(provider, model)
        return None if known is None else self._now(known)

    def context_window(self, provider: str, model: str) -> int | None:
        """How many tokens the model can read and write in one call; ``None`` when the catalogue does not know it."""
        known = self._known(provider, model)
        return None if known is None else known.context_window

    def _known(self, provider: str, model: str) -> types.ModelInfo | None:
        key = (provider, model)
        try:
            return self._models[key]
        except KeyError:
            found = self._find(provider, model)
            if len(self._models) < MOST_REMEMBERED:
                self._models[key] = found
            return found

    def _find(self, provider: str, model: str) -> types.ModelInfo | None:
        entry = self._providers.get(provider)
        if entry is None:
            return None
        found = entry.find_model(model, all_providers=get_snapshot().providers)
        return found if found is not None and is_certain(model, found) else None

    def _now(self, model: types.ModelInfo) -> Price | None:
        conditional = isinstance(model.prices, list)
        prices = model.get_prices(self._clock.now()) if conditional else model.prices
        # The catalogue's objects live as long as the process, so that their identity is as good as a name.
        key = id(prices)
        if key not in self._prices:
            self._prices[key] = _price(prices, free=model.id.endswith(FREE_SUFFIX))  # type: ignore[arg-type]
        return self._prices[key]


def has_prices(name: str, base_url: str, catalogue_id: str | None = None) -> bool:
    """Whether the catalogue knows such a provider at all."""
    return _provider(name, base_url, catalogue_id) is not None


def _provider(name: str, base_url: str, catalogue_id: str | None) -> types.Provider | None:
    providers = get_snapshot().providers
    if catalogue_id is not None:
        return find_provider_by_id(providers, catalogue_id)
    try:
        return get_snapshot().find_provider(None, None, base_url)
    except LookupError:
        return next((provider for provider in providers if provider.id == name.lower()), None)


def _price(prices: types.ModelPrice, *, free: bool) -> Price | None:
    """The domain's price; ``None`` for models that are not sold by the token."""
    per_input, per_output = prices.input_mtok, prices.output_mtok
    per_thousand_requests = prices.requests_kcount
    if per_input is None and per_output is None and not free:
        return None
    return Price(
        version=VERSION,
        input=_rate(per_input),
        output=_rate(per_output),
        cache_read=None if prices.cache_read_mtok is None else _rate(prices.cache_read_mtok),
        cache_write=None if prices.cache_write_mtok is None else _rate(prices.cache_write_mtok),
        per_request=per_thousand_requests / 1000 if isinstance(per_thousand_requests, Decimal) else ZERO,
        cache_write_1h=None if prices.cache_write_1h_mtok is None else _rate(prices.cache_write_1h_mtok),
    )


def _rate(price: Decimal | types.TieredPrices | None) -> Rate:
    if price is None:
        return Rate(ZERO)
    if isinstance(price, types.TieredPrices):
        return Rate(price.base, tuple(Tier(tier.start, tier.price) for tier in price.tiers))
    return Rate(price)
