"""The log as consumers outside of the service get it: page by page, or followed as it grows."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from send2llm.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of these topics (none: of all), of this tenant, of this stream (``None``: of any)."""

    topics: frozenset[str] = frozenset()
    tenant: str | None = None
    stream: str | None = None

    def takes(self, event: "PublishedEvent") -> bool:
        """Whether the event is one of them."""
        return (
            (not self.topics or event.topic in self.topics)
            and (self.tenant is None or event.tenant == self.tenant)
            and (self.stream is None or event.stream == self.stream)
        )


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as it is told outside: ``document`` is the JSON object with its metadata and data, in UTF-8.

    ``data`` is in the words of ``schema_version``, the newest that this process knows; what it does not know is told
    as it was stored.
    """

    position: int
    stream: str
    version: int
    topic: str
    tenant: str
    event_id: str
    schema_version: int
    document: bytes


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """The wanted events after a position and up to ``reached``: all of them, in their order.

    ``more`` says that there may be events after ``reached`` already.
    """

    events: Sequence[PublishedEvent]
    reached: int
    more: bool = False


def require_reached(position: int, head: int) -> None:
    """Raise ``InvalidRequest`` for a position that the log, which ends at ``head``, has not come to.

    Nobody can have seen it, unless in a log that a backup has taken the place of since: waiting until this one is as
    long would pass events by.
    """
    if position > head:
        raise InvalidRequest(
            f"after: The log ends at position {head} so far, before {position}. If it was restored from a backup, go "
            "on from there, and forget what you have seen behind it.",
            param="after",
        )


class PublishedEvents(Protocol):
    """Gives events in the order in which they were committed: none is passed by, and none is given twice.

    Positions only grow, and an event never appears before one that was given already. Methods raise
    ``UnreadableEvent`` for a row that is no event at all.
    """

    async def page(self, after: int, limit: int, wanted: Wanted) -> PublishedPage:
        """At most ``limit`` events after the position; fewer, but never none, when they are large.

        Raises ``StoreUnavailable``, and ``InvalidRequest`` for a position beyond the end of the log.
        """
        ...

    async def head(self) -> int:
        """The position of the last event, 0 when there is none; raises ``StoreUnavailable``."""
        ...

    def follow(self, after: int, wanted: Wanted) -> AsyncGenerator[PublishedPage]:
        """All that is stored after the position, and what is stored later, until ``close``.

        A page without events comes now and then when nothing happens: then all up to its ``reached`` was given. A
        database that goes away is waited for. Whoever takes pages slowly delays nobody else. Raises ``InvalidRequest``
        for a position beyond the end of the log.
        """
        ...

    def close(self) -> None:
        """Let all followers end: the process is about to stop."""
        ...

    async def closed(self) -> None:
        """Wait until that was said."""
        ...
