"""Goes along the chain of a log: each seal, the events under it, and what comes after the last one."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from send2llm.domain.log_seals import NOTHING_BEFORE, RawEvent, Seal, link_of

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether a signature (third) of some bytes (second) was made by the owner of a public key (first)."""

TimeOf = Callable[[RawEvent], datetime | None]
"""When an event happened, as it says itself; ``None`` if it does not."""

LATE = timedelta(hours=1)
"""Seals are made within seconds: what waited longer was sealed anew, or was never sealed."""

_TELL_EVERY = 5000


class LogFault(Exception):
    """A log is not what was sealed. Whatever gives its events and seals may raise it, too.

    ``position``, ``after`` and ``seal`` are those of ``LogVerification``.
    """

    def __init__(
        self, what: str, seal: Seal | None = None, position: int | None = None, *, after: int | None = None
    ) -> None:
        super().__init__(what)
        self.seal = None if seal is None else seal.number
        self.position = position
        self.after = after


def in_order(events: Iterator[RawEvent]) -> Iterator[RawEvent]:
    """The events, each at a position of its own from 1 on, where all who follow the log see it."""
    before = 0
    for event in events:
        if event.position < 1:
            raise LogFault("An event stands before position 1, where none is ever stored.", position=event.position)
        if event.position <= before:
            raise LogFault("Two events stand at one position.", position=event.position)
        before = event.position
        yield event


class ChainVerification:
    """How far it has come: ``events`` are those under ``seals`` that are proven, up to ``position``."""

    def __init__(
        self,
        events: Iterator[RawEvent],
        verify: Verify,
        trusted: frozenset[bytes],
        time_of: TimeOf | None,
        progress: Callable[[int], None],
    ) -> None:
        self._following = in_order(events)
        self._verify = verify
        self._trusted = trusted
        self._time_of = time_of
        self._progress = progress
        self._link = NOTHING_BEFORE
        self._last: Seal | None = None
        self._changed_links: Seal | None = None
        self.seals = self.events = self.position = self.unsealed = self.late_seals = 0

    def seals_fit_together(self, seals: Sequence[Seal], kept: Sequence[Seal]) -> None:
        """Each seal goes on where the one before ended, is signed, and is the one that was kept elsewhere."""
        link, position = NOTHING_BEFORE, 0
        for number, seal in enumerate(seals, 1):
            if seal.number != number:
                raise LogFault(f"Seal {number} is missing.", seal, position + 1)
            if seal.chain != seals[0].chain or seal.previous != link or seal.first_position <= position:
                raise LogFault(f"Seal {number} does not go on from the one before it.", seal, seal.first_position)
            if self._trusted and seal.public_key not in self._trusted:
                raise LogFault(f"Seal {number} is signed with a key that is not trusted.", seal, seal.first_position)
            if not self._verify(seal.public_key, seal.signed, seal.signature):
                raise LogFault(f"The signature of seal {number} is wrong.", seal, seal.first_position)
            link, position = seal.link, seal.last_position
        for one in kept:
            _agrees(one, seals, position)

    def events_of(self, seal: Seal) -> None:
        """The events under a seal are those that were sealed."""
        position, changed = self.position, None
        for place in range(seal.events):
            event = self._next(changed)
            if event is None:
                raise LogFault("The log ends before what was sealed: its tail was cut off.", seal, position + 1)
            self._link = link_of(seal.chain, self._link, event)
            fits = seal.link_fits(place, self._link)
            if fits is False:
                self._changed_links = self._changed_links or seal
                changed = changed or LogFault(_CHANGED, seal, event.position, after=position)
            elif fits:  # whatever came before does so, too: every link holds all events up to its own
                changed = None
            if not place and self._is_late(event, seal.sealed_at):
                self.late_seals += 1
            position = event.position
            if place % _TELL_EVERY == 0:
                self._progress(self.events + place)
        if self._link != seal.link or position != seal.last_position:
            raise changed or LogFault(
                "The events are not those that were sealed.", seal, seal.last_position, after=self.position
            )
        self.position, self._last = position, seal
        self.events += seal.events
        self.seals += 1
        self._progress(self.events)

    def rest(self, now: datetime | None) -> None:
        """What is not sealed is no more than what a seal has not come to yet.

        Whoever removed seals can change what these events say of their times: so each has to say one, not long before
        the last seal was made, which is signed, and all of them within the time that a seal may take, up to ``now``.
        """
        first, timeless, times = self._unsealed(now)
        if first is None:
            return
        if self._last is None:
            raise LogFault("Nothing is sealed, so nothing tells whether the log was changed.", position=first)
        if timeless is not None:
            raise LogFault("An event after the last seal does not say when it happened.", position=timeless)
        if times and max(times) - min(times) > LATE:
            raise LogFault("The last events are not sealed, though there was time to.", position=first)
        if times and self._last.sealed_at - min(times) > LATE:
            raise LogFault("An event after the last seal says that it is much older than that.", position=first)

    def _unsealed(self, now: datetime | None) -> tuple[int | None, int | None, Sequence[datetime]]:
        """Of the events that follow: the first position, that of one without a time, and the first and last time."""
        first = timeless = None
        times: tuple[datetime, ...] = () if now is None else (now,)
        for event in self._following:
            first = first or event.position
            self.unsealed += 1
            at = None if self._time_of is None else self._time_of(event)
            if at is not None:
                times = (min(at, *times), max(at, *times)) if times else (at,)
            elif self._time_of is not None:
                timeless = timeless or event.position
            if self.unsealed % _TELL_EVERY == 0:
                self._progress(self.events)
        return first, timeless, times

    def links(self) -> None:
        """The links that are kept beside a seal, which are not signed, are those of its events."""
        if self._changed_links is not None:
            number = self._changed_links.number
            raise LogFault(
                f"The links beside seal {number}, by which positions are found, were changed; "
                "all sealed events and all signatures are right.",
                self._changed_links,
            )

    def _next(self, changed: LogFault | None) -> RawEvent | None:
        """The next event; where there is none in its place, what was ``changed`` before is why."""
        try:
            event = next(self._following, None)
        except LogFault as fault:
            raise changed or fault from None
        if event is None and changed is not None:
            raise changed
        return event

    def _is_late(self, event: RawEvent, sealed: datetime) -> bool:
        at = None if self._time_of is None else self._time_of(event)
        return at is not None and sealed - at > LATE


_CHANGED = "An event was changed, inserted or removed."


def _agrees(kept: Seal, seals: Sequence[Seal], position: int) -> None:
    """The seals, which end at a ``position``, have one that was kept elsewhere among them."""
    number = kept.number
    if seals and kept.chain != seals[0].chain:
        raise LogFault(
            f"Seal {number}, which was kept elsewhere, is of another log than the seals here, or all of them were made "
            "anew.",
            kept,
            seals[0].first_position,
        )
    if not 1 <= number <= len(seals):
        raise LogFault(f"Seal {number}, which was kept elsewhere, is missing: the log was cut off.", kept, position + 1)
    if seals[number - 1].signed != kept.signed:
        raise LogFault(f"Seal {number} is not the one that was kept elsewhere.", kept, kept.first_position)
