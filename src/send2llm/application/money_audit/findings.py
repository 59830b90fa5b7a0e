"""What an audit comes across, as it goes; amounts are whole pico-dollars until they are told."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from send2llm.application.money_audit.result import Difference, KnownLater, Overrun
from send2llm.domain.pico_dollars import dollars

LISTED = 1_000
"""A log that is wrong in one way may be so a million times."""


class Place(Protocol):
    """Where an event is: a recorded event has all of it."""

    @property
    def stream(self) -> str: ...
    @property
    def position(self) -> int: ...


class Spot(NamedTuple):
    """A place that is kept after its event was let go."""

    stream: str
    position: int


class PeriodId(NamedTuple):
    """A period of a budget."""

    budget_id: UUID
    key: str

    def __str__(self) -> str:
        return f"{self.budget_id}, {self.key}"


@dataclass(slots=True)
class Findings:
    """Lists up to ``LISTED`` of each kind, and counts all."""

    differences: list[Difference]
    difference_count: int
    known_later: list[KnownLater]
    later: int
    overruns: list[Overrun]
    overrun: int

    @classmethod
    def none(cls) -> "Findings":
        """Before the first event."""
        return cls([], 0, [], 0, [], 0)

    def differ(self, place: Place, what: str, expected: int | None = None, found: int | None = None) -> None:
        """Something does not agree."""
        self.difference_count += 1
        if len(self.differences) < LISTED:
            amounts = [None if amount is None else dollars(amount) for amount in (expected, found)]
            self.differences.append(Difference(place.stream, place.position, what, *amounts))

    def compare(self, place: Place, what: str, expected: int, found: int) -> None:
        """Two amounts have to be the same."""
        if expected != found:
            self.differ(place, what, expected, found)

    def became_known(self, place: Place, hold_id: str, period: PeriodId, assumed: int, cost: int) -> None:
        """The true cost of what had been written off whole."""
        self.later += max(0, assumed - cost)
        if len(self.known_later) < LISTED:
            self.known_later.append(
                KnownLater(
                    place.stream, place.position, hold_id, period.budget_id, period.key, dollars(assumed), dollars(cost)
                )
            )

    def overran(self, place: Place, hold_id: str | None, amount: int) -> None:
        """A budget has recorded an overrun."""
        self.overrun += amount
        if len(self.overruns) < LISTED:
            self.overruns.append(Overrun(place.stream, place.position, hold_id, dollars(amount)))
