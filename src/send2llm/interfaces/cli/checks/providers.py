"""Checks of the providers: whether each answers, and accepts its key."""

import asyncio
from collections.abc import Sequence

from send2llm.application.ports import Provider
from send2llm.bootstrap.providers import provider_config
from send2llm.domain.errors import AuthenticationFailed, ModelNotAvailable, PermissionDenied, ProviderError
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_client import http_transport
from send2llm.interfaces.cli.checks import Finding
from send2llm.settings import ProviderSettings, Settings

ANSWER_SECONDS = 15.0


def check_providers(settings: Settings) -> Sequence[Finding]:
    """Ask every configured provider for its models."""
    if settings.providers:
        return asyncio.run(_ask_all(settings))
    if settings.local_model.enabled == "never":
        remedy = "Set OPENAI_API_KEY, or write a provider into send2llm.toml."
        return [Finding("providers", "fail", "none is configured", remedy)]
    return [Finding("providers", "ok", "none is configured: the local model answers")]


async def _ask_all(settings: Settings) -> Sequence[Finding]:
    transport = http_transport()
    try:
        return await asyncio.gather(
            *(
                _ask(make_provider(provider.format, provider_config(name, provider, settings, transport)), provider)
                for name, provider in settings.providers.items()
            )
        )
    finally:
        await transport.aclose()


async def _ask(provider: Provider, configured: ProviderSettings) -> Finding:
    name = f"provider {provider.name}"
    place = f"providers.{provider.name}"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            offered = await provider.models()
    except (AuthenticationFailed, PermissionDenied) as error:
        return Finding(name, "fail", str(error), f"Correct api_key of [{place}], or the variable that it names.")
    except ModelNotAvailable:
        return Finding(name, "warn", "it answers, but does not list its models", "Nothing, if messages get answers.")
    except ProviderError as error:
        return Finding(name, "fail", str(error), f"Check base_url of [{place}], and that the provider runs.")
    except TimeoutError:
        found = f"no answer within {ANSWER_SECONDS:g} s"
        return Finding(name, "fail", found, f"Check base_url of [{place}], and that the provider runs.")
    unknown = sorted(set(configured.models) - set(offered))
    if offered and unknown:
        found = f"it does not offer {', '.join(unknown)}"
        return Finding(name, "warn", found, f"Correct models of [{place}].")
    return Finding(name, "ok", f"answers and offers {len(offered)} models")
