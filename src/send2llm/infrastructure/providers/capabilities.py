"""What a provider's format can carry. Whether a model of it can, only the provider knows."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from send2llm.application.ports import EmbeddingProvider, Provider, TokenCountingProvider


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What can be asked of a provider; ``None``: its family does not say.

    A dialect declares ``tools``, ``images`` and ``structured_output``; that it has embeddings, or counts tokens, shows
    by its methods.
    """

    chat: bool = True
    streaming: bool = True
    tools: bool | None = None
    images: bool | None = None
    structured_output: bool | None = None
    embeddings: bool = False
    count_tokens: bool = False


ALL = Capabilities(tools=True, images=True, structured_output=True)
"""What nearly every format can carry."""


@runtime_checkable
class Declares(Protocol):
    """A dialect, or a provider, that says what it can carry."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can carry."""
        ...


def declared(dialect: object, *, embeddings: bool, count_tokens: bool) -> Capabilities:
    """What a dialect declares, with what shows by its methods."""
    said = dialect.capabilities if isinstance(dialect, Declares) else Capabilities()
    return replace(said, embeddings=embeddings, count_tokens=count_tokens)


def capabilities_of(provider: Provider) -> Capabilities:
    """What can be asked of a provider of any kind."""
    if isinstance(provider, Declares):
        return provider.capabilities
    return Capabilities(
        embeddings=isinstance(provider, EmbeddingProvider), count_tokens=isinstance(provider, TokenCountingProvider)
    )
