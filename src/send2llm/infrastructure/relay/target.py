"""What a relay needs of a broker."""

from collections.abc import Sequence
from typing import Protocol, Self

from send2llm.application.published_events import PublishedEvent
from send2llm.domain.errors import Send2LLMError


class RelayFailed(Send2LLMError):
    """The broker did not take what it was given; it will be given it again."""

    code = "relay_failed"


class EventRefused(RelayFailed):
    """The broker has all events before the one at ``position``, and does not take that one."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class RelayTarget(Protocol):
    """A connection to a broker, open for as long as its context is."""

    async def __aenter__(self) -> Self:
        """Connect; raises ``RelayFailed``."""
        ...

    async def __aexit__(self, *exception: object) -> None: ...

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Return when the broker has all of them in its keeping; raises ``RelayFailed``, or ``EventRefused``."""
        ...
