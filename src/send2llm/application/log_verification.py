"""Verifies that a log is what was sealed: no event changed, inserted, removed or cut off at the end.

It works on a running database and on an export alike, with nothing but public keys.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from send2llm.application.chain_verification import ChainVerification, LogFault, TimeOf, Verify
from send2llm.domain.log_seals import RawEvent, Seal

Progress = Callable[[int, int], None]
"""Is told how many events were looked at, and how many are sealed in all."""


def _tell_nobody(_done: int, _all: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What was found. All is well when ``fault`` is empty, which it never is when there are events and no seal.

    ``events`` were verified under ``seals``, up to ``last_position``; ``unsealed`` events came after the last of them.
    ``late_seals`` were made more than an hour after their first event: where a log is sealed as it grows, somebody may
    have removed seals and had it sealed anew.

    With a fault, ``position`` is the first at which the log is not what was sealed, and ``seal`` the number of the seal
    that shows it. ``after`` is the last position that is right, where what is wrong may lie between the two. There is
    no position where it is not the events that are at fault.
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


def verify_log(
    events: Iterable[RawEvent],
    seals: Iterable[Seal],
    verify: Verify,
    *,
    trusted: Collection[bytes] = (),
    kept: Sequence[Seal] = (),
    time_of: TimeOf | None = None,
    now: datetime | None = None,
    progress: Progress = _tell_nobody,
) -> LogVerification:
    """Compare ``events``, in the order of their positions, with the ``seals``, in the order of their numbers.

    ``trusted`` are the public keys that may have signed; without any, whatever key a seal names is taken, which shows
    damage but no forgery. ``kept`` are seals that were kept elsewhere: the log's own have to agree with them, so that a
    tail that was cut off together with its seals is noticed. ``now`` is the time of a log that is being sealed;
    ``None`` where it is not known when the log was read.
    """
    chain: list[Seal] = []
    total = 0
    verification = ChainVerification(
        iter(events), verify, frozenset(trusted), time_of, lambda done: progress(done, total)
    )
    fault: LogFault | None = None
    try:
        chain.extend(seals)
        total = sum(seal.events for seal in chain)
        verification.seals_fit_together(chain, kept)
        for seal in chain:
            verification.events_of(seal)
        verification.rest(now)
        verification.links()
    except LogFault as found:
        fault = found
    return LogVerification(
        seals=verification.seals,
        events=verification.events,
        unsealed=verification.unsealed,
        last_position=verification.position,
        public_keys=sorted({seal.public_key.hex() for seal in chain}),
        late_seals=verification.late_seals,
        fault=str(fault) if fault else "",
        position=fault.position if fault else None,
        after=fault.after if fault else None,
        seal=fault.seal if fault else None,
    )
