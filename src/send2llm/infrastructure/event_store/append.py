"""What is handed to the event store: events, the heads of the transcripts that they end, and keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from eventsourcing.persistence import StoredEvent

BEHIND_THE_LAST = -1
"""The version of an event that goes behind whatever its stream holds, unless that was closed (``CLOSING_TOPIC``)."""

CLOSING_TOPIC = "allowance.closed"
"""The topic of an event behind which nothing is put: who wants to append ``BEHIND_THE_LAST`` there is refused."""


@dataclass(frozen=True, slots=True)
class TranscriptHead:
    """The digest by which a conversation is found again from its messages; None takes it out of the index."""

    originator_id: str
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class StreamKey:
    """The key under which texts of a stream are encrypted, as it is stored; None destroys it."""

    originator_id: str
    wrapped: bytes | None


@dataclass(frozen=True, slots=True)
class Append:
    """Events, of one stream or several, that are stored all together or not at all.

    ``heads`` and ``keys`` are written in the same transaction as the events. ``needed_keys`` are those under which the
    events are encrypted: unless they are stored already, exactly so, nothing is, because nobody could read it.

    When the events meet rows with the very same versions, topics and state, they count as stored by an
    earlier try of this append. So the state of an event must be unlike any other's; the event id in its
    metadata sees to that.

    Raises ValueError when there are no events, or none with a version of its own, by which an earlier try could be
    told; but a close may come alone: that it was there before is as good as that it is there now.
    """

    events: Sequence[StoredEvent]
    heads: Sequence[TranscriptHead] = ()
    keys: Sequence[StreamKey] = ()
    needed_keys: Sequence[StreamKey] = ()

    def __post_init__(self) -> None:
        numbered = any(event.originator_version != BEHIND_THE_LAST for event in self.events)
        if not numbered and not (self.events and all(event.topic == CLOSING_TOPIC for event in self.events)):
            raise ValueError("An append needs at least one event with a version of its own.")
