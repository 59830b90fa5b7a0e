"""Makes a seal of some events."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from send2llm.domain.log_seals import NOTHING_BEFORE, SHORT_LINK_BYTES, RawEvent, Seal, link_of
from send2llm.infrastructure.log_seals.signing import SealingKey


def seal_events(events: Sequence[RawEvent], before: Seal | None, chain: UUID, key: SealingKey, now: datetime) -> Seal:
    """The seal of ``events``, all that come after the seal ``before``."""
    previous = link = NOTHING_BEFORE if before is None else before.link
    links = bytearray()
    for event in events:
        link = link_of(chain, link, event)
        links += link[:SHORT_LINK_BYTES]
    seal = Seal(
        chain=chain,
        number=1 if before is None else before.number + 1,
        first_position=events[0].position,
        last_position=events[-1].position,
        events=len(events),
        previous=previous,
        link=link,
        sealed_at=now,
        public_key=key.public,
        links=bytes(links),
    )
    return replace(seal, signature=key.sign(seal.signed))
