"""What a provider is made from: its part of the configuration, with everything looked up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import httpx2

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.providers.dialect import Dialect, Signer
from send2llm.infrastructure.providers.http_provider import CONNECT_TIMEOUT, HttpProvider
from send2llm.infrastructure.providers.secret_values import secret_values


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """The table ``[providers.NAME]``.

    ``base_url`` is what the official SDK would be given, empty where the provider's family finds the address by
    itself; ``headers`` go with every request and win over the usual ones. ``options`` are for the family to read, with
    ``options_of``. ``leave_out`` are fields of requests that the operator wants left out for this provider. Tests may
    give a ``transport``.
    """

    name: str
    base_url: str = ""
    api_key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    leave_out: frozenset[str] = frozenset()
    connect_timeout: float = CONNECT_TIMEOUT
    transport: httpx2.AsyncBaseTransport | None = None

    def options_of(self, **types: type) -> dict[str, Any]:
        """The options that are set, each of the type that it must have; raises ``ConfigurationError`` for others."""
        for option, value in self.options.items():
            place = f"providers.{self.name}.options.{option}"
            if option not in types:
                near = get_close_matches(option, types, 1, 0.5)
                known = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(types)) or 'none'}."
                raise ConfigurationError(f"{place} is no option of this provider's format. {known}")
            if type(value) is not types[option]:
                raise ConfigurationError(f"{place} must be of type {types[option].__name__}, not {value!r}.")
        return dict(self.options)

    def require_base_url(self) -> str:
        """The address; raises ``ConfigurationError`` if there is none."""
        if not self.base_url:
            raise ConfigurationError(f"providers.{self.name} needs a base_url.")
        return self.base_url

    def require_api_key(self) -> str:
        """The key; raises ``ConfigurationError`` if there is none."""
        if not self.api_key:
            raise ConfigurationError(f'providers.{self.name} needs an api_key, such as "env:{self._variable}".')
        return self.api_key

    def over_http(self, dialect: Dialect, *, signer: Signer | None = None) -> HttpProvider:
        """The provider that speaks the dialect."""
        return HttpProvider(
            self.name,
            dialect,
            self.transport,
            secrets=secret_values(self.api_key, self.headers),
            signer=signer,
            connect_timeout=self.connect_timeout,
            leave_out=self.leave_out,
        )

    @property
    def _variable(self) -> str:
        return f"{self.name.upper().replace('-', '_')}_API_KEY"
