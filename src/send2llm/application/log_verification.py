"""Verifies that a log is what was sealed: no event changed, inserted, removed or cut off at the end.

It works on a running database and on an export alike, with nothing but public keys.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from send2llm.domain.log_seals import NOTHING_BEFORE, RawEvent, Seal, link_of

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether a signature (third) of some bytes (second) was made by the owner of a public key (first)."""

Progress = Callable[[int, int], None]
"""Is told how many events were looked at, and how many are sealed in all."""


def _tell_nobody(_done: int, _all: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What was found. All is well when ``fault`` is empty.

    ``position`` is the first at which the log is not what was sealed; ``seal`` the number of the seal that shows it.
    ``events`` were verified under ``seals``; ``unsealed`` events came after the last of them.
    """

    seals: int
    events: int
    unsealed: int
    last_position: int
    public_keys: Sequence[str]
    fault: str = ""
    position: int | None = None
    seal: int | None = None


class SealedLog(Protocol):
    """The log with its seals. Every method raises ``StoreUnavailable``."""

    async def seals(self, after: int = 0) -> Sequence[Seal]:
        """The seals after a number, in their order."""
        ...

    async def verify(
        self, *, trusted: Collection[bytes] = (), kept: Sequence[Seal] = (), progress: Progress = _tell_nobody
    ) -> LogVerification:
        """``verify_log`` on the events and seals of one moment."""
        ...


class _Fault(Exception):
    def __init__(self, what: str, seal: Seal | None = None, position: int | None = None) -> None:
        super().__init__(what)
        self.seal = seal
        self.position = position


def verify_log(
    events: Iterable[RawEvent],
    seals: Sequence[Seal],
    verify: Verify,
    *,
    trusted: Collection[bytes] = (),
    kept: Sequence[Seal] = (),
    progress: Progress = _tell_nobody,
) -> LogVerification:
    """Compare ``events``, in the order of their positions, with the ``seals``, in the order of their numbers.

    ``trusted`` are the public keys that may have signed; without any, whatever key a seal names is taken, which shows
    damage but no forgery. ``kept`` are seals that were kept elsewhere: the log's own have to agree with them, so that a
    tail that was cut off together with its seals is noticed.
    """
    verification = _Verification(verify, frozenset(trusted), sum(seal.events for seal in seals), progress)
    fault: _Fault | None = None
    following = iter(events)
    try:
        verification.seals_fit_together(seals, kept)
        for seal in seals:
            verification.events_of(seal, following)
    except _Fault as found:
        fault = found
    return LogVerification(
        seals=verification.seals,
        events=verification.events,
        unsealed=0 if fault else sum(1 for _ in following),
        last_position=verification.position,
        public_keys=sorted({seal.public_key.hex() for seal in seals}),
        fault=str(fault) if fault else "",
        position=fault.position if fault else None,
        seal=fault.seal.number if fault and fault.seal else None,
    )


class _Verification:
    """How far it has come."""

    def __init__(self, verify: Verify, trusted: frozenset[bytes], total: int, progress: Progress) -> None:
        self._verify = verify
        self._trusted = trusted
        self._total = total
        self._progress = progress
        self._link = NOTHING_BEFORE
        self.seals = self.events = self.position = 0

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
            if one.number > len(seals):
                raise _Fault(
                    f"Seal {one.number}, which was kept elsewhere, is missing: the log was cut off.", one, position + 1
                )
            if seals[one.number - 1].signed != one.signed:
                raise _Fault(f"Seal {one.number} is not the one that was kept elsewhere.", one, one.first_position)

    def events_of(self, seal: Seal, following: Iterator[RawEvent]) -> None:
        """The events under a seal are those that were sealed."""
        for place in range(seal.events):
            event = next(following, None)
            if event is None:
                raise _Fault("The log ends before what was sealed: its tail was cut off.", seal, self.position + 1)
            self._link = link_of(seal.chain, self._link, event)
            if not seal.link_fits(place, self._link):
                raise _Fault("An event was changed, inserted or removed.", seal, event.position)
            self.position = event.position
            self.events += 1
            if self.events % _TELL_EVERY == 0:
                self._progress(self.events, self._total)
        if self._link != seal.link or self.position != seal.last_position:
            raise _Fault("The events are not those that were sealed.", seal, seal.first_position)
        self.seals += 1
        self._progress(self.events, self._total)


_TELL_EVERY = 5000
