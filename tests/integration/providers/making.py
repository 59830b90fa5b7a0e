"""Makes the providers of these tests as the configuration would."""

from typing import Any

import httpx2

from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider


def openai_compatible(
    name: str, base_url: str, transport: httpx2.AsyncBaseTransport | None = None, **config: Any
) -> HttpProvider:
    """A provider in OpenAI's format; ``config`` are further fields of ``ProviderConfig``, or options of the format."""
    options = {option: config.pop(option) for option in ("output_limit", "stream_usage") if option in config}
    made = make_provider("openai", ProviderConfig(name, base_url, transport=transport, options=options, **config))
    assert isinstance(made, HttpProvider)
    return made


def made(format_: str, name: str, base_url: str, **config: Any) -> HttpProvider:
    """A provider of any family; ``config`` are further fields of ``ProviderConfig``."""
    provider = make_provider(format_, ProviderConfig(name, base_url, **config))
    assert isinstance(provider, HttpProvider)
    return provider
