"""What models cost: by the configuration, and otherwise by a catalogue."""

from collections.abc import Mapping
from types import MappingProxyType

from send2llm.application.ports import Clock, PriceBook
from send2llm.infrastructure.prices import GenaiPriceBook, OverridePriceBook
from send2llm.infrastructure.providers.presets import PRESETS, Preset
from send2llm.settings import ProviderSettings, Settings


def price_book(settings: Settings, clock: Clock) -> OverridePriceBook:
    """What models cost, from the configuration and the catalogue."""
    return price_book_over(catalogue(settings, clock), settings)


def price_book_of_history(settings: Settings, clock: Clock) -> OverridePriceBook:
    """The same, and also what known providers cost that are not configured, or are no longer."""
    return price_book_over(catalogue_of_history(settings, clock), settings)


def catalogue_of_history(settings: Settings, clock: Clock) -> GenaiPriceBook:
    """The catalogue, with known providers that are not configured, or are no longer."""
    return catalogue(settings, clock, PRESETS)


def catalogue(settings: Settings, clock: Clock, presets: Mapping[str, Preset] = MappingProxyType({})) -> GenaiPriceBook:
    """The catalogue of what models cost and can take, by the configured providers' addresses."""
    known: dict[str, Preset | ProviderSettings] = {**presets, **settings.providers}
    return GenaiPriceBook(
        {name: provider.base_url for name, provider in known.items()},
        clock,
        catalogue_ids={name: one.price_provider for name, one in known.items() if one.price_provider},
    )


def price_book_over(catalogue: PriceBook, settings: Settings) -> OverridePriceBook:
    """What models cost by the configuration, and otherwise by a catalogue."""
    configured = settings.providers
    return OverridePriceBook(
        {name: price.model_dump() for name, price in settings.prices.items()},
        otherwise=catalogue,
        free={name for name, provider in configured.items() if provider.free},
    )
