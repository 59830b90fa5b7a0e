"""How a configured provider is shown, by the API and on the command line. No key is in it."""

from dataclasses import asdict
from typing import Any

import httpx2

from send2llm.application.ports import PriceBook, Provider
from send2llm.application.provider_health import ProviderHealth
from send2llm.infrastructure.providers.capabilities import capabilities_of
from send2llm.settings import ProviderSettings

UNKNOWN = {"state": "unknown", "attempts": 0, "failed": 0, "last_at": None, "last_error": None}
"""The health of a provider at which nothing was attempted lately."""


def provider_view(
    provider: Provider, configured: ProviderSettings, prices: PriceBook, health: ProviderHealth | None
) -> dict[str, Any]:
    """What it is, what it can, what its listed models cost, and how it did lately."""
    return {
        "name": provider.name,
        "format": configured.format,
        "base_url": _shown(configured.base_url),
        "models": [_model(provider.name, model, prices) for model in configured.models],
        "only_listed": configured.only_listed,
        "free": configured.free,
        "capabilities": asdict(capabilities_of(provider)),
        "health": UNKNOWN if health is None else _health(health),
    }


def _shown(base_url: str) -> str:
    """The address without what may be a secret in it."""
    address = httpx2.URL(base_url)
    return str(address.copy_with(userinfo=b"", query=None)) if base_url else ""


def _model(provider: str, model: str, prices: PriceBook) -> dict[str, Any]:
    price = prices.price(provider, model)
    if price is None:
        return {"name": model, "price": None}
    return {
        "name": model,
        "price": {"input_usd": price.input.usd, "output_usd": price.output.usd, "version": price.version},
    }


def _health(health: ProviderHealth) -> dict[str, Any]:
    shown = asdict(health)
    del shown["provider"]
    return {"state": health.state, **shown}
