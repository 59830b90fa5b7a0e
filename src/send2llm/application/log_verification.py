"""Verifies that a log is what was sealed: no event changed, inserted, removed or cut off at the end.

It works on a running database and on an export alike, with nothing but public keys.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from send2llm.domain.log_seals import NOTHING_BEFORE, RawEvent, Seal, link_of

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether a signature (third) of some bytes (second) was made by the owner of a public key (first)."""

TimeOf = Callable[[RawEvent], datetime | None]
"""When an event happened, as it says itself; ``None`` if it does not."""

Progress = Callable[[int, int], None]
"""Is told how many events were looked at, and how many are sealed in all."""

LATE = timedelta(hours=1)
"""Seals are made within seconds: what waited longer was sealed anew, or was never sealed."""


def _tell_nobody(_done: int, _all: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What was found. All is well when ``fault`` is empty, which it never is when there are events and no seal.

    ``events`` were verified under ``seals``, up to ``last_position``; ``unsealed`` events came after the last of them.
    ``late_seals`` were made more than ``LATE`` after their first event: where a log is sealed as it grows, somebody may
    have removed seals and had it sealed anew.

    With a fault, ``position`` is the first at which the log is not what was sealed, and ``seal`` the number of the seal
    that shows it. ``after`` is the last position that is right, where what is wrong may lie between the two.
    """

    seals: int
    events: int
    unsealed: int
    last_position: int
    public_keys: Sequence[str]
    late_seals: int = 0
    fault: str = ""
    position: int | None = None
    after: int | None = None
    seal: int | None = None


@dataclass(frozen=True, slots=True)
class SealPage:
    """Some seals in their order; whether there are ``more``."""

    seals: Sequence[Seal]
    more: bool


class SealedLog(Protocol):
    """The log with its seals. Every method raises ``StoreUnavailable``."""

    async def seals(self, after: int, limit: int, *, last: int | None = None, links: bool = False) -> SealPage:
        """The seals after a number, of the ``last`` so many there are; their ``links`` only where they are wanted."""
        ...

    async def verify(
        self, *, trusted: Collection[bytes] = (), kept: Sequence[Seal] = (), progress: Progress = _tell_nobody
    ) -> LogVerification:
        """``verify_log`` on the events and seals of one moment.

        It reads the whole log, without holding up anything else, until it is cancelled. Raises
        ``VerificationInProgress`` while another one does.
        """
        ...


class _Fault(Exception):
    def __init__(
        self, what: str, seal: Seal | None = None, position: int | None = None, *, after: int | None = None
    ) -> None:
        super().__init__(what)
        self.seal = None if seal is None else seal.number
        self.position = position
        self.after = after


def verify_log(
    events: Iterable[RawEvent],
    seals: Sequence[Seal],
    verify: Verify,
    *,
    trusted: Collection[bytes] = (),
    kept: Sequence[Seal] = (),
    time_of: TimeOf = lambda _event: None,
    progress: Progress = _tell_nobody,
) -> LogVerification:
    """Compare ``events``, in the order of their positions, with the ``seals``, in the order of their numbers.

    ``trusted`` are the public keys that may have signed; without any, whatever key a seal names is taken, which shows
    damage but no forgery. ``kept`` are seals that were kept elsewhere: the log's own have to agree with them, so that a
    tail that was cut off together with its seals is noticed.
    """
    total = sum(seal.events for seal in seals)
    verification = _Verification(_in_order(events), verify, frozenset(trusted), time_of, lambda n: progress(n, total))
    fault: _Fault | None = None
    try:
        verification.seals_fit_together(seals, kept)
        for seal in seals:
            verification.events_of(seal)
        verification.rest()
    except _Fault as found:
        fault = found
    return LogVerification(
        seals=verification.seals,
        events=verification.events,
        unsealed=verification.unsealed,
        last_position=verification.position,
        public_keys=sorted({seal.public_key.hex() for seal in seals}),
        late_seals=verification.late_seals,
        fault=str(fault) if fault else "",
        position=fault.position if fault else None,
        after=fault.after if fault else None,
        seal=fault.seal if fault else None,
    )


def _in_order(events: Iterable[RawEvent]) -> Iterator[RawEvent]:
    """The events, each at a position of its own from 1 on, where all who follow the log see it."""
    before = 0
    for event in events:
        if event.position < 1:
            raise _Fault("An event stands before position 1, where none is ever stored.", position=event.position)
        if event.position <= before:
            raise _Fault("Two events stand at one position.", position=event.position)
        before = event.position
        yield event


class _Verification:
    """How far it has come."""

    def __init__(
        self,
        events: Iterator[RawEvent],
        verify: Verify,
        trusted: frozenset[bytes],
        time_of: TimeOf,
        progress: Callable[[int], None],
    ) -> None:
        self._following = events
        self._verify = verify
        self._trusted = trusted
        self._time_of = time_of
        self._progress = progress
        self._link = NOTHING_BEFORE
        self.seals = self.events = self.position = self.unsealed = self.late_seals = 0

    def seals_fit_together(self, seals: Sequence[Seal], kept: Sequence[Seal]) -> None:
        """Each seal goes on where the one before ended, is signed, and is the one that was kept elsewhere."""
        link, position = NOTHING_BEFORE, 0
        for number, seal in enumerate(seals, 1):
            if seal.number != number:
                raise _Fault(f"Seal {number} is missing.", seal, position + 1)
            if seal.chain != seals[0].chain or seal.previous != link or seal.first_position <= position:
                raise _Fault(f"Seal {number} does not go on from the one before it.", seal, seal.first_position)
            if self._trusted and seal.public_key not in self._trusted:
                raise _Fault(f"Seal {number} is signed with a key that is not trusted.", seal, seal.first_position)
            if not self._verify(seal.public_key, seal.signed, seal.signature):
                raise _Fault(f"The signature of seal {number} is wrong.", seal, seal.first_position)
            link, position = seal.link, seal.last_position
        for one in kept:
            if not 1 <= one.number <= len(seals):
                raise _Fault(
                    f"Seal {one.number}, which was kept elsewhere, is missing: the log was cut off.", one, position + 1
                )
            if seals[one.number - 1].signed != one.signed:
                raise _Fault(f"Seal {one.number} is not the one that was kept elsewhere.", one, one.first_position)

    def events_of(self, seal: Seal) -> None:
        """The events under a seal are those that were sealed."""
        for place in range(seal.events):
            event = next(self._following, None)
            if event is None:
                raise _Fault("The log ends before what was sealed: its tail was cut off.", seal, self.position + 1)
            self._link = link_of(seal.chain, self._link, event)
            if not seal.link_fits(place, self._link):
                raise _Fault("An event was changed, inserted or removed.", seal, event.position, after=self.position)
            if not place and self._is_late(event, seal.sealed_at):
                self.late_seals += 1
            self.position = event.position
            self.events += 1
            if self.events % _TELL_EVERY == 0:
                self._progress(self.events)
        if self._link != seal.link or self.position != seal.last_position:
            raise _Fault("The events are not those that were sealed.", seal, seal.first_position)
        self.seals += 1
        self._progress(self.events)

    def rest(self) -> None:
        """What is not sealed is no more than what a seal has not come to yet."""
        first = next(self._following, None)
        if first is None:
            return
        last, self.unsealed = first, 1
        for event in self._following:
            last = event
            self.unsealed += 1
            if self.unsealed % _TELL_EVERY == 0:
                self._progress(self.events)
        if not self.seals:
            raise _Fault("Nothing is sealed, so nothing tells whether the log was changed.", position=first.position)
        ended = self._time_of(last)
        if ended is not None and self._is_late(first, ended):
            raise _Fault("The last events are not sealed, though there was time to.", position=first.position)

    def _is_late(self, event: RawEvent, sealed: datetime) -> bool:
        at = self._time_of(event)
        return at is not None and sealed - at > LATE


_TELL_EVERY = 5000
