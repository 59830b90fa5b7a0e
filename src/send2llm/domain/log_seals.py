"""Seals: how anybody can see that the log of events was not changed.

Each event is linked to the one before it by a hash over its bytes, in the order of their commits; and from time to
time the chain is sealed: how far it reaches, how many events that is, and the last link, signed. A log with another
event, one less, one more, or another order has other links, and nobody without the key can seal those.

A link is ``BLAKE2b(previous link, position, stream, version, topic, state)``: 32 bytes, keyed with the id of the chain
(so that no link of one log fits another), each field after its length. A signature is Ed25519 over ``Seal.signed``.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

LINK_BYTES = 32
SHORT_LINK_BYTES = 8
"""Of each event so much of its link is kept with the seal: it proves nothing, but it shows where a chain breaks."""

NOTHING_BEFORE = bytes(LINK_BYTES)
"""What the first event is linked to."""

_FORMAT = b"send2llm log seal 1"


class RawEvent(NamedTuple):
    """An event as it is stored: the very bytes."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """The chain up to ``last_position``: ``events`` of them since the seal before, which ended with ``previous``.

    ``links`` are the beginnings of each event's link; they are not signed. ``public_key`` (32 bytes) belongs to whoever
    made the ``signature``.
    """

    chain: UUID
    number: int
    first_position: int
    last_position: int
    events: int
    previous: bytes
    link: bytes
    sealed_at: datetime
    public_key: bytes = b""
    signature: bytes = b""
    links: bytes = b""

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is over; the time is in UTC, in whichever zone a database tells it."""
        numbers = (self.number, self.first_position, self.last_position, self.events)
        words = [
            _FORMAT,
            self.chain.bytes,
            *(str(number).encode() for number in numbers),
            self.previous,
            self.link,
            self.sealed_at.astimezone(UTC).isoformat(timespec="microseconds").encode(),
        ]
        return b"".join(b"%d:%s" % (len(word), word) for word in words)

    def link_fits(self, place: int, link: bytes) -> bool | None:
        """Whether the event at a ``place`` of the sealed ones, from 0, had this link; ``None`` if that was not kept."""
        begin = place * SHORT_LINK_BYTES
        known = self.links[begin : begin + SHORT_LINK_BYTES]
        return hmac.compare_digest(known, link[:SHORT_LINK_BYTES]) if known else None


def link_of(chain: UUID, previous: bytes, event: RawEvent) -> bytes:
    """The link of an event to the one before it."""
    hashed = blake2b(previous, digest_size=LINK_BYTES, key=chain.bytes)
    for word in (
        str(event.position).encode(),
        event.stream.encode(),
        str(event.version).encode(),
        event.topic.encode(),
        event.state,
    ):
        hashed.update(b"%d:" % len(word))
        hashed.update(word)
    return hashed.digest()
