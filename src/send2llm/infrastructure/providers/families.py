"""Families of providers, found by their entry points in the group ``send2llm.providers``.

The built-in ones come through the same door as anybody else's: the entry point's name is the ``format`` in the
configuration, and it leads to a function that makes a ``Provider`` from a ``ProviderConfig``.
"""

from collections.abc import Callable
from difflib import get_close_matches

from send2llm.application.ports import Provider
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.installed import family_names, installed

Family = Callable[[ProviderConfig], Provider]


def family(name: str) -> Family:
    """The family of that name; raises ``ConfigurationError`` if it is not there, or cannot be loaded."""
    entry = installed().get(name)
    if entry is None:
        near = get_close_matches(name, installed(), 1, 0.5)
        hint = f"Did you mean {near[0]}?" if near else f"Installed: {', '.join(family_names()) or 'none'}."
        raise ConfigurationError(f"There is no provider format {name!r}. {hint}")
    try:
        loaded: Family = entry.load()
    except Exception as error:  # a package of somebody's: whatever it raises, its name is what helps
        raise ConfigurationError(
            f"The provider format {name!r} cannot be loaded from {entry.value} ({type(error).__name__}: {error})."
        ) from error
    return loaded


def make_provider(format_: str, config: ProviderConfig) -> Provider:
    """A provider of the family ``format_``; raises ``ConfigurationError``."""
    return family(format_)(config)
