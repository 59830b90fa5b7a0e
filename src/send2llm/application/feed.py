"""The log of all events, as use cases read it; ``published_events`` is what consumers outside get."""

from collections.abc import Sequence
from typing import Protocol

from send2llm.application.context import RecordedEvent


class EventFeed(Protocol):
    """Reads events in the order in which they were committed. Every method raises ``StoreUnavailable``.

    Positions only grow, and an event never appears before one that was read already: whoever asks for what comes
    after the last position seen misses nothing.
    """

    async def read(self, after: int, limit: int) -> Sequence[RecordedEvent]:
        """At most ``limit`` events after the position."""
        ...

    async def head(self) -> int:
        """The position of the last event, 0 when there is none."""
        ...
