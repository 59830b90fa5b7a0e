"""The providers of the configuration."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from send2llm.application.ports import Provider


@runtime_checkable
class Closable(Protocol):
    """A provider that keeps connections."""

    async def aclose(self) -> None:
        """Close them; closing twice does no harm."""
        ...


class ConfiguredProviders:
    """``Providers`` by name."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = dict(providers)

    @property
    def names(self) -> Sequence[str]:
        """The names, in the order of the configuration."""
        return tuple(self._providers)

    def get(self, name: str) -> Provider:
        """The provider; raises ``KeyError`` for a name that is not configured."""
        return self._providers[name]

    async def aclose(self) -> None:
        """Close the connections of all of them."""
        for provider in self._providers.values():
            if isinstance(provider, Closable):
                await provider.aclose()
