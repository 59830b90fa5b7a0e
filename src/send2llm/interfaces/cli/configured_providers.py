"""The providers of the settings, looked at without a service."""

from typing import Any

import orjson

from send2llm.bootstrap.prices import price_book
from send2llm.bootstrap.providers import provider_config
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_client import http_transport
from send2llm.infrastructure.system import SystemClock
from send2llm.interfaces.http.reply_headers import usd
from send2llm.interfaces.provider_views import provider_view
from send2llm.settings import Settings


async def configured_providers(settings: Settings) -> list[dict[str, Any]]:
    """What ``GET /api/providers`` would show; nobody knows how they did lately."""
    prices = price_book(settings, SystemClock())
    transport = http_transport()
    try:
        shown = [
            provider_view(
                make_provider(configured.format, provider_config(name, configured, settings, transport)),
                configured,
                prices,
                None,
            )
            for name, configured in settings.providers.items()
        ]
    finally:
        await transport.aclose()
    plain: list[dict[str, Any]] = orjson.loads(orjson.dumps(shown, default=usd))
    return plain
