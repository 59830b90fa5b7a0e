"""What the configuration says of models: who answers them, what they are called, what they cost."""

from collections.abc import Mapping
from types import MappingProxyType

import httpx2

from send2llm.application.ports import (
    Clock,
    PriceBook,
    Provider,
)
from send2llm.domain.routing import ModelNames
from send2llm.infrastructure.prices import GenaiPriceBook, OverridePriceBook
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.presets import PRESETS, Preset
from send2llm.infrastructure.providers.registry import ConfiguredProviders
from send2llm.settings import ProviderSettings, Settings


def configured_providers(settings: Settings) -> ConfiguredProviders:
    """The providers, each under the name that the configuration gives it."""
    return ConfiguredProviders({name: _provider(name, one, settings) for name, one in settings.providers.items()})


def _provider(name: str, provider: ProviderSettings, settings: Settings) -> Provider:
    return make_provider(provider.format, provider_config(name, provider, settings))


def provider_config(
    name: str, provider: ProviderSettings, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None
) -> ProviderConfig:
    """What a provider is made from."""
    return ProviderConfig(
        name=name,
        base_url=provider.base_url,
        api_key=provider.api_key.get_secret_value() if provider.api_key else None,
        headers=provider.headers,
        options=provider.options,
        leave_out=provider.leave_out,
        connect_timeout=settings.timeouts.connect,
        transport=transport,
    )


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


def model_names(settings: Settings) -> ModelNames:
    """What callers may call a model."""
    listed = {name: provider.models for name, provider in settings.providers.items()}
    closed = {name for name, provider in settings.providers.items() if provider.only_listed}
    beginnings = {name: provider.models_begin_with for name, provider in settings.providers.items()}
    return ModelNames(listed, settings.routes, settings.default_provider, closed, beginnings)


def known_models(settings: Settings) -> list[tuple[str, str]]:
    """Provider and model of all that are listed."""
    return [(name, model) for name, provider in settings.providers.items() for model in provider.models]
