"""Who answers: the providers of the configuration."""

import httpx2

from send2llm.application.ports import Provider
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
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
